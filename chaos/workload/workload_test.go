package workload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/testdata"
)

func mustParse(t testing.TB, text string) *Workload {
	t.Helper()
	w, err := Parse(strings.NewReader(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// firstPass is what so many clients send in the first pass, put back into the workload's order.
func firstPass(w *Workload, seed uint64, clients int) []Message {
	messages := make([]Message, w.Len())
	for client := range clients {
		for s := w.Stream(seed, client, clients); s.Index() < w.Len(); {
			index := s.Index()
			messages[index] = s.Next()
		}
	}
	return messages
}

func describe(messages []Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s %s %q %t\n", m.Canister, m.Method, m.Arg, m.Query)
	}
	return b.String()
}

func TestMessageLines(t *testing.T) {
	w := mustParse(t, `
# a comment
{"canister":"kv","method":"put","text":"a=1"}
{"canister":"kv","method":"put","hex":"ff00","repeat":2}

{"canister":"notes","method":"find","base64":"aGk=","query":true}
{"canister":"counter","method":"increment"}`)
	const want = `kv put "a=1" false
kv put "\xff\x00" false
kv put "\xff\x00" false
notes find "hi" true
counter increment "" false
`
	if got := describe(firstPass(w, 1, 1)); got != want {
		t.Errorf("messages:\n%swant:\n%s", got, want)
	}
	if got := w.Canisters(); !slices.Equal(got, []string{"counter", "kv", "notes"}) {
		t.Errorf("canisters %v", got)
	}
	if again := w.Message(1, w.Len()); string(again.Arg) != "a=1" {
		t.Errorf("the second pass begins with %q", again.Arg)
	}
}

func TestFaultyLines(t *testing.T) {
	const ok = `{"canister":"kv","method":"put","text":"a=1"`
	tests := []struct{ line, want string }{
		{`put a=1`, `test:1: not JSON: invalid character 'p' looking for beginning of value`},
		{`42`, `test:1: not a JSON object; a line looks like {"canister":"kv","method":"put","text":"a=1"}`},
		{`{"canister":"kv"`, `test:1: not JSON: the line ends in the middle of an object`},
		{ok + `} {}`, `test:1: more text after the JSON object; each line is one object`},
		{ok + `,"text":"b"}`, `test:1: field "text" is there twice`},
		{`{"canister":"kv","text":"a"}`, `test:1: field "method" is missing`},
		{`{"canister":"","method":"x"}`, `test:1: field "canister" is empty`},
		{`{"canister":"kv","method":7}`, `test:1: field "method" is 7; it must be a string` + "\n" + `test:1: field "method" is empty`},
		{ok + `,"repeat":0}`, `test:1: field "repeat" is 0; it must be a whole number from 1 to 1000000000`},
		{ok + `,"repeat":1.5}`, `test:1: field "repeat" is 1.5; it must be a whole number from 1 to 1000000000`},
		{ok + `,"repeat":null}`, `test:1: field "repeat" is null; it must be a whole number from 1 to 1000000000`},
		{ok + `,"hex":"00"}`, `test:1: text and hex are given; only one of text, hex and base64 may be`},
		{`{"canister":"kv","method":"put","hex":"0g"}`, `test:1: field "hex": encoding/hex: invalid byte: U+0067 'g'`},
		{ok + `,"query":"yes"}`, `test:1: field "query" is "yes"; it must be true or false`},
		{ok + `,"reapeat":2}`, `test:1: unknown field "reapeat"; a message has canister, method, query, text, hex, base64, repeat`},
		{"{\"canister\":\"k\xff\"}", `test:1: not UTF-8 text; arguments of other bytes are written as "hex" or "base64"`},
		{`{"generate":"gaussian"}`, `test:1: unknown generator "gaussian"; there are uniform, skewed, memory, life`},
		{`{"generate":"life","canister":"kv","change":["stop","burn"]}`, `test:1: field "change" has "burn"; there are install, upgrade, reinstall, stop, start, delete`},
		{`{"generate":"life"}`, `test:1: field "canister" is missing`},
		{`{"generate":"uniform","zipf":1}`, `test:1: unknown field "zipf"; a generator of the kind uniform has generate, keys, value_bytes, canister, ` +
			`read_fraction, method, text, read_method, read_text, count, seed`},
		{`{"generate":"uniform","text":"$kye"}`, `test:1: field "text": unknown name $kye; there are $key, $value, $n, $random, and $$ for a dollar sign`},
		{`{"generate":"uniform","method":[]}`, `test:1: field "method" is an empty list`},
		{`{"generate":"uniform","read_fraction":1.5}`, `test:1: field "read_fraction" is 1.5; it must be a number from 0 to 1`},
		{`{"generate":"uniform","value_bytes":1000000,"text":"$value$value$value"}`,
			`test:1: field "text" makes arguments of up to 3000000 bytes; at most 2097152 are allowed`},
		{``, `test: no message in the file`},
	}
	for _, test := range tests {
		w, err := Parse(strings.NewReader(test.line), "test")
		if err == nil || err.Error() != test.want || w != nil {
			t.Errorf("%s\n got: %v\nwant: %s", test.line, err, test.want)
		}
	}
}

func TestWorkloadLimits(t *testing.T) {
	const message = `{"canister":"kv","method":"len"}` + "\n"
	tests := []struct{ name, text, want string }{
		{"lines", strings.Repeat(message, MaxLines+1), "test:100001: more than 100000 messages and generators"},
		{"bytes", strings.Repeat(" ", MaxBytes+1), "test: the file has more than 67108864 bytes"},
		{"argument", `{"canister":"kv","method":"put","text":"` + strings.Repeat("x", MaxArgBytes+1) + `"}`,
			"test:1: the argument is 2097153 bytes long; at most 2097152 are allowed"},
		{"name", `{"canister":"` + strings.Repeat("k", MaxNameBytes+1) + `","method":"put"}`,
			`test:1: field "canister" is 257 bytes long; at most 256 are allowed`},
		{"keys", `{"generate":"uniform","keys":1048577}`, `test:1: field "keys" is 1048577; it must be a whole number from 1 to 1048576`},
		{"skewed keys", strings.Repeat(`{"generate":"skewed","keys":1048576}`+"\n", 9),
			"test:9: the skewed generators up to here have 9437184 keys; at most 8388608 are allowed in one file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse(strings.NewReader(test.text), "test"); err == nil || err.Error() != test.want {
				t.Errorf("got: %v\nwant: %s", err, test.want)
			}
		})
	}
	if w := mustParse(t, strings.Repeat(message, MaxLines)); w.Len() != MaxLines {
		t.Errorf("%d messages", w.Len())
	}
}

// The files in testdata/workload/bad are what a user may pass by mistake.
func TestGarbageFiles(t *testing.T) {
	want := map[string]string{
		"binary.jsonl":   "binary.jsonl:1: not UTF-8 text",
		"comments.jsonl": "comments.jsonl: no message in the file",
		"empty.jsonl":    "empty.jsonl: no message in the file",
		"not-json.jsonl": "not-json.jsonl:1: not JSON",
		"many-faults.jsonl": "many-faults.jsonl:2: field \"method\" is missing\n" +
			"many-faults.jsonl:2: unknown field \"methd\"",
	}
	files, err := filepath.Glob("../../testdata/workload/bad/*")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %d expected (%v)", len(files), len(want), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(file)
		if _, err := Parse(bytes.NewReader(text), base); err == nil || !strings.HasPrefix(err.Error(), want[base]) {
			t.Errorf("%s: got %v\nwant %s...", base, err, want[base])
		}
	}
}

func TestManyFaultsStopTheReading(t *testing.T) {
	_, err := Parse(strings.NewReader(strings.Repeat("x\n", 50)), "test")
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxFaults+1 || lines[maxFaults] != "test: and maybe more; reading stopped at line 10" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestEmbeddedWorkloadsParse(t *testing.T) {
	for _, name := range testdata.Workloads() {
		w, err := Embedded(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, canister := range w.Canisters() {
			if _, _, err := testdata.Canister(canister); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if got := Default().Canisters(); !slices.Equal(got, []string{"kv", "memory"}) {
		t.Errorf("the demonstration calls %v", got)
	}
}

func TestMessagesDependOnTheSeedAlone(t *testing.T) {
	w := Default()
	one := describe(firstPass(w, 7, 1))
	for _, clients := range []int{2, 3, 16} {
		if describe(firstPass(w, 7, clients)) != one {
			t.Errorf("%d clients send other messages than one", clients)
		}
	}
	if describe(firstPass(Default(), 7, 1)) != one {
		t.Error("the same workload parsed again makes other messages")
	}
	if describe(firstPass(w, 8, 1)) == one {
		t.Error("another seed makes the same messages")
	}
	var second []Message
	for i := range w.Len() {
		second = append(second, w.Message(7, w.Len()+i))
	}
	if describe(second) == one {
		t.Error("the second pass makes the same choices as the first")
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range testdata.Workloads() {
		text, err := testdata.Workload(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint64(1))
	}
	f.Add([]byte(`{"canister":"kv","method":"put","hex":"00","repeat":1000000000}`), uint64(1<<40))
	f.Fuzz(func(t *testing.T, text []byte, index uint64) {
		w, err := Parse(bytes.NewReader(text), "fuzz")
		if err != nil {
			if w != nil || !strings.HasPrefix(err.Error(), "fuzz:") {
				t.Fatalf("workload %v with error %v", w, err)
			}
			return
		}
		m := w.Message(1, index)
		if m.Canister == "" || m.Method == "" || len(m.Arg) > MaxArgBytes || !slices.Contains(w.Canisters(), m.Canister) {
			t.Fatalf("message %+v of canisters %v", m, w.Canisters())
		}
	})
}

// Queries are taken from the beginning of a pass, each with the argument that the seed gives it.
func TestQueries(t *testing.T) {
	w := mustParse(t, `{"generate":"uniform","read_fraction":0.5,"count":100}`)
	var want []Message
	for _, m := range firstPass(w, 3, 1) {
		if m.Query {
			want = append(want, m)
		}
	}
	if got := w.Queries(3, 1000); describe(got) != describe(want) || len(want) < 30 {
		t.Errorf("got\n%swant\n%s", describe(got), describe(want))
	}
	if got := w.Queries(3, 7); describe(got) != describe(want[:7]) {
		t.Errorf("the first 7 are\n%s", describe(got))
	}
	for before, want := range map[int]int{3999: 1, 4000: 0} {
		late := mustParse(t, fmt.Sprintf(`{"canister":"kv","method":"put","text":"a=1","repeat":%d}
{"canister":"kv","method":"len","query":true}`, before))
		if got := late.Queries(1, 5); len(got) != want {
			t.Errorf("behind %d messages: %d queries, want %d", before, len(got), want)
		}
	}
}

func TestUnknownWorkload(t *testing.T) {
	if w, err := Embedded("demmo"); w != nil || err == nil || !strings.Contains(err.Error(), "there are bank, demo") {
		t.Errorf("got %v, %v", w, err)
	}
}
