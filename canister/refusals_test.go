package canister

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// TestRefusals breaks the rules for modules in turn; testdata/refusals has a module and what becomes of it for each. A case is
//
//	wat [times=N]   text of WebAssembly; what stands between {{ and }} is repeated, with its number for a %
//	bytes           hexadecimal digits and strings in quotes; # begins a comment
func TestRefusals(t *testing.T) {
	datadriven.Walk(t, "testdata/refusals", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			times := 1
			d.MaybeScanArgs(t, "times", &times)
			switch d.Cmd {
			case "wat":
				wasm, err := ParseWAT([]byte(repeated(d.Input, times)))
				if err != nil {
					t.Fatalf("%s: the text is at fault: %.500s", d.Pos, err)
				}
				return fate(t, wasm) + "\n"
			case "bytes":
				return fate(t, literal(t, d.Input)) + "\n"
			}
			t.Fatalf("%s: unknown case %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

// repeated writes out what stands between double braces.
func repeated(text string, times int) string {
	b := new(strings.Builder)
	for {
		head, rest, _ := strings.Cut(text, "{{")
		item, tail, ok := strings.Cut(rest, "}}")
		b.WriteString(head)
		if !ok {
			return b.String()
		}
		for i := range times {
			b.WriteString(strings.ReplaceAll(item, "%", strconv.Itoa(i)))
		}
		text = tail
	}
}

// literal reads a module that is written as digits and strings.
func literal(t *testing.T, text string) (out []byte) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			if s, err := strconv.Unquote(word); err == nil {
				out = append(out, s...)
			} else if b, err := hex.DecodeString(word); err == nil {
				out = append(out, b...)
			} else {
				t.Fatalf("%q is neither digits nor a string", word)
			}
		}
	}
	return out
}

// fate tells what becomes of a module that is to be installed: why it is refused, or how its installation ended. Whatever is
// said must be the same twice, short and printable.
func fate(t *testing.T, wasm []byte) string {
	t.Helper()
	said := refusalOf(t, wasm)
	if again := refusalOf(t, wasm); again != said {
		t.Errorf("refused as %q first, then as %q", said, again)
	}
	if said != "" {
		return said
	}
	c := plainSetup().config(t)
	can, out, err := Install(c, compile(t, c, wasm), Env{Canister: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if can == nil {
		return fmt.Sprintf("not installed: %s", out.Text)
	}
	if err := can.Close(); err != nil {
		t.Error(err)
	}
	return "installed"
}

// refusalOf is why a module is refused, "" if it is not.
func refusalOf(t *testing.T, wasm []byte) string {
	t.Helper()
	c := plainSetup()
	p, err := Prepare(wasm, c.limits)
	if err == nil {
		_, err = testEngine(t, c.engine).Compile(p)
	}
	if err == nil {
		return ""
	}
	text := err.Error()
	if _, ok := errors.AsType[*program.Refusal](err); !ok {
		t.Errorf("%v is no refusal", err)
	}
	if len(text) > 5000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		t.Errorf("not fit to be shown: %q", text)
	}
	return text
}

// TestWrongImports imports every host function with another type than its own, in each way that a type can differ.
func TestWrongImports(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, f := range systemapi.Funcs(wide) {
			for i, typ := range otherTypes(f.Type) {
				said := refusalOf(t, wat(t, importing(f, typ, wide)))
				if want := fmt.Sprintf("%s.%s is %s, not %s", f.Module, f.Name, f.Type, typ); !strings.Contains(said, want) {
					t.Errorf("type %d: refused as %q, want it to say %q", i, said, want)
				}
			}
		}
	}
}

// otherTypes are types that differ from one in a parameter, a result, or their number.
func otherTypes(t program.FuncType) (others []program.FuncType) {
	other := func(v program.ValType) program.ValType {
		if v == program.I32 {
			return program.I64
		}
		return program.I32
	}
	for _, add := range []program.ValType{program.I32, program.F64} {
		others = append(others,
			program.FuncType{Params: append(slices.Clone(t.Params), add), Results: t.Results},
			program.FuncType{Params: t.Params, Results: append(slices.Clone(t.Results), add)})
	}
	for i, v := range t.Params {
		changed := slices.Clone(t.Params)
		changed[i] = other(v)
		others = append(others, program.FuncType{Params: changed, Results: t.Results},
			program.FuncType{Params: slices.Delete(slices.Clone(t.Params), i, i+1), Results: t.Results})
	}
	for _, v := range t.Results {
		others = append(others, program.FuncType{Params: t.Params}, program.FuncType{Params: t.Params, Results: []program.ValType{other(v)}})
	}
	return others
}

// importing is a module that imports a function with a type.
func importing(f *systemapi.Func, typ program.FuncType, wide bool) string {
	address := "i32"
	if wide {
		address = "i64"
	}
	list := func(word string, types []program.ValType) (text string) {
		for _, v := range types {
			text += " (" + word + " " + v.String() + ")"
		}
		return text
	}
	return fmt.Sprintf("(module (import %q %q (func%s%s)) (memory %s 1))", f.Module, f.Name, list("param", typ.Params),
		list("result", typ.Results), address)
}
