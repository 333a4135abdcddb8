package candid

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

const did = `
// A service with one of everything.
type List = opt record { nat; List };
type Shape = variant { circle : float64; square : record { side : nat32; "the name" : text }; none };
type Fn = func (text, when : nat64) -> (Shape) query;
service : (owner : principal, opt nat) -> {
  add : (nat, n : int) -> (nat);
  list : (List) -> (vec List) query;
  shape : (Shape, record { a : opt bool; 7 : blob }) -> () oneway;
  fn : Fn;
  self : (service { go : () -> () }, Fn, reserved, null) -> ();
}`

func methods(t *testing.T) *Description {
	t.Helper()
	d, err := Parse(did)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRoundTrip encodes as a method asks for and prints it again.
func TestRoundTrip(t *testing.T) {
	d := methods(t)
	for _, c := range []struct{ method, text, bytes, back string }{
		{"add", "(5, -6)", "4449444c00027d7c057a", "(5 : nat, -6)"},
		{"add", "(0x80, +1_000 : int)", "", "(128 : nat, 1000)"},
		{"add", "(123456789012345678901234567890, -64)", "", "(123456789012345678901234567890 : nat, -64)"},
		{"list", "(null)", "", "(null)"},
		{"list", "(opt record { 1; opt record { 2; null } })", "", "(opt (record { 1 : nat; opt (record { 2 : nat; null }) }))"},
		{"shape", `(variant { circle = 1.5 }, record { 7 = blob "\00a"; a = opt true })`, "", `(variant { circle = 1.5 : float64 }, record { 7 = blob "\00a"; a = opt (true) })`},
		{"shape", `(variant { none }, record { 7 = "x" })`, "error", "a text is no vec"},
		{"shape", `(variant { square = record { side = 4; "the name" = "q\u{e9}\"" } }, record { 7 = vec { 1; 255 } })`, "",
			`(variant { square = record { side = 4 : nat32; "the name" = "qé\"" } }, record { 7 = blob "\01\ff"; a = null })`},
		{"fn", `("t", 7 : nat64)`, "", `("t", 7 : nat64)`},
		{"fn", `("\u{9b}31m\1b\u{202e}\t", 7 : nat64)`, "", `("\u{9b}31m\1b\u{202e}\09", 7 : nat64)`},
		{"self", `(service "aaaaa-aa", func "aaaaa-aa".go, 5, null)`, "", `(service "aaaaa-aa", func "aaaaa-aa".go, null : reserved, null)`},
		{"add", "(5)", "error", "1 arguments, the method takes 2"},
		{"add", "(5, 6, 7)", "error", "3 arguments, the method takes 2"},
		{"add", "(-5, 6)", "error", "argument 1: -5 is no nat"},
		{"add", `(5 : text, 6)`, "error", "a value of type text is no nat"},
		{"fn", `("t", 18446744073709551616)`, "error", "does not fit into nat64"},
		{"shape", `(variant { oval }, record {})`, "error", "the variant has no case oval"},
		{"shape", `(variant { none }, record { 7 = blob ""; b = 1 })`, "error", "the record has no field b"},
	} {
		data, err := Encode(c.text, d.Methods[c.method].Args)
		if c.bytes == "error" {
			if err == nil || !strings.Contains(err.Error(), c.back) {
				t.Errorf("%s%s: %v, want %s", c.method, c.text, err, c.back)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s%s: %v", c.method, c.text, err)
			continue
		}
		if c.bytes != "" && hex.EncodeToString(data) != c.bytes {
			t.Errorf("%s%s: %x, want %s", c.method, c.text, data, c.bytes)
		}
		back, err := Decode(data, d.Names())
		if err != nil || back != c.back {
			t.Errorf("%s%s: %s, %v, want %s", c.method, c.text, back, err, c.back)
			continue
		}
		again, err := Encode(back, d.Methods[c.method].Args)
		if err != nil || string(again) != string(data) {
			t.Errorf("%s: %v", back, err)
		}
	}
	if len(d.Init) != 2 || d.Init[0].Kind != Principal || d.Methods["fn"].Modes[0] != "query" {
		t.Error("the description is not what it says")
	}
}

// TestInferred takes types from the text; the bytes are those of the
// specification's encoding, worked out by hand.
func TestInferred(t *testing.T) {
	for text, want := range map[string]string{
		`()`:                                  "4449444c0000",
		`(42)`:                                "4449444c00017c2a",
		`(-129)`:                              "4449444c00017cff7e",
		`(128 : nat)`:                         "4449444c00017d8001",
		`(-2 : int16, 300 : nat16)`:           "4449444c0002767afeff2c01",
		`("hi", true, null)`:                  "4449444c0003717e7f02686901",
		`(1.0 : float32)`:                     "4449444c0001730000803f",
		`(vec { 1 : nat8; 2 })`:               "4449444c016d7b0100020102",
		`(opt "a")`:                           "4449444c016e71010001" + "0161",
		`(record { b = true; a = 1 : nat8 })`: "4449444c016c02617b627e01000101",
		`(principal "aaaaa-aa")`:              "4449444c0001680100",
	} {
		data, err := Encode(text, nil)
		if err != nil || hex.EncodeToString(data) != want {
			t.Errorf("%s: %x, %v, want %s", text, data, err, want)
			continue
		}
		back, err := Decode(data, map[uint32]string{'a': "a", 'b': "b"})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if again, err := Encode(back, nil); err != nil || string(again) != string(data) {
			t.Errorf("%s: %s: %v", text, back, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, text := range []string{"", "(", "5", "(5", "(5 6)", "(\"a)", "(x)", "(vec { 1; \"a\" })", "(1 : thing)", "(blob 5)", "(/* )",
		"(record { a = 1; a = 2 })", "(principal \"aaaaa-ab\")", "(1.5 : nat)", "(" + strings.Repeat("opt ", 300) + "1)", "(\"\\zz\")", "(5) 6"} {
		if data, err := Encode(text, nil); err == nil {
			t.Errorf("%s: %x", text, data)
		}
	}
	for _, text := range []string{"type A = A; service : {}", "type A = B; type B = A;", "service : { f : (X) -> () }", "service : nat",
		"type A = record { a : nat; a : nat };", "service : { f : nat }", "import \"x\";", "type A = " + strings.Repeat("opt ", 300) + "nat;"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
	for _, data := range []string{"", "4449444c", "4449444c0001", "4449444c00017d", "4449444c00017d80", "4449444c00017d0100", "4449444c000100",
		"4449444c016c010000010001", "4449444c016d7f0100ffffffff0f", "4449444c0001" + "6f", "4449444c00017e02", "4449444c016b0100010003", "4449444c0001710180"} {
		raw, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := Decode(raw, nil); err == nil {
			t.Errorf("%s: %s", data, text)
		}
	}
}

// FuzzDecode: whatever is printed can be read again and means the same bytes
// up to the choice of types.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`(5, "a", record { a = opt 5; 3 = blob "x" })`, `(vec { variant { a } }, -1.5)`, `(func "aaaaa-aa"."x y")`} {
		data, err := Encode(text, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := Decode(data, nil)
		if err != nil || len(text) > 1<<16 {
			return
		}
		if _, err := parseArgs(text); err != nil && !strings.Contains(text, "NaN") && !strings.Contains(text, "Inf") {
			t.Errorf("%s: %v", text, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(did)
	f.Fuzz(func(t *testing.T, text string) {
		Parse(text)
		Encode(text, nil)
	})
}

// TestExamples: what is made up can be encoded, differs, and covers a recursive type without end.
func TestExamples(t *testing.T) {
	d, err := Parse(`type list = opt record { int; list }; type tree = variant { leaf; node : record { tree; tree } };
		type endless = record { endless };
		service : { m : (bool, nat, int, nat8, int8, nat64, int64, float32, float64, text, principal, vec nat8, vec text, opt int32,
			record { a : nat; "two words" : text; 7 : null; reserved }, variant { x; y : nat16 }, list, tree, func () -> (), service {}) -> ();
			none : () -> (); never : (endless) -> () }`)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seed := range uint64(300) {
		text := Example(d.Methods["m"].Args, rand.New(rand.NewPCG(seed, 1)))
		data, err := Encode(text, d.Methods["m"].Args)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := Decode(data, d.Names()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if text != Example(d.Methods["m"].Args, rand.New(rand.NewPCG(seed, 1))) {
			t.Fatal("the same seed gives another example")
		}
		seen[text] = true
	}
	if len(seen) != 300 {
		t.Errorf("%d different examples of 300", len(seen))
	}
	if text := Example(nil, rand.New(rand.NewPCG(1, 1))); text != "()" {
		t.Errorf("no arguments: %s", text)
	}
	never := d.Methods["never"].Args
	if _, err := Encode(Example(never, rand.New(rand.NewPCG(1, 1))), never); err == nil {
		t.Error("a value of a type that has none")
	}
}
