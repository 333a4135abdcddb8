package canister

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/scanner"
)

var updateRecords = flag.Bool("update", false, "write down again what the conformance suite waits for and what guests leave behind")

const conformanceDir = "../testdata/conformance"

// TestConformance runs the rules of the System API in testdata/conformance; its
// README tells the format. Rules that need what this package does not have yet
// are listed in waiting.txt, which may only get shorter.
func TestConformance(t *testing.T) {
	waiting := make(map[string]string)
	err := filepath.WalkDir(conformanceDir, func(path string, _ fs.DirEntry, err error) error {
		name, isRule := strings.CutSuffix(path, ".wat")
		if err != nil || !isRule {
			return err
		}
		name, _ = filepath.Rel(conformanceDir, name)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var steps []step
			for line := range strings.Lines(string(text)) {
				if call, ok := strings.CutPrefix(line, ";; call: "); ok {
					steps = append(steps, parseStep(t, call))
				}
			}
			if len(steps) == 0 {
				t.Fatal("no line begins with ;; call:")
			}
			wasm := wat(t, string(text))
			if reason := waitsFor(t, wasm, steps); reason != "" {
				waiting[name] = reason
				return
			}
			play(newStage(t, wasm, allSetups()[:2]...), steps)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkWaiting(t, filepath.Join(conformanceDir, "waiting.txt"), waiting)
}

func play(s *stage, steps []step) {
	s.t.Helper()
	if steps[0].kind != "install" {
		s.do(step{kind: "install", want: "ok"})
	}
	for _, st := range steps {
		s.do(st)
	}
}

// step is one line of a rule or story: what happens and how it must end.
type step struct {
	text         string
	kind, method string
	arg          []byte
	want         string // the first word after expect
	reply        []byte // if want is reply
	contains     string // what the reason must contain, or be if want is reject
	size         int    // if want is bytes
}

// parseStep reads KIND [METHOD] [arg=VALUE] ; expect: ENDING
func parseStep(t testing.TB, line string) step {
	t.Helper()
	p := newStepParser(t, line)
	st := step{text: strings.TrimSpace(line), kind: p.word()}
	if p.tok != ';' && p.text() != "arg" {
		st.method = p.name()
	}
	if p.text() == "arg" {
		p.next()
		p.expect("=")
		st.arg = p.value()
	}
	p.expect(";")
	p.expect("expect")
	p.expect(":")
	switch st.want = p.word(); st.want {
	case "reply":
		st.reply = p.value()
	case "bytes":
		st.size, _ = strconv.Atoi(p.word())
	case "reject", "trap", "refused":
		if p.tok == scanner.String {
			st.contains = p.name()
		}
	case "ok", "none", "missing", "replied", "accept", "refuse", "idle":
	default:
		t.Fatalf("%q: no ending %q", line, st.want)
	}
	if p.tok != scanner.EOF {
		t.Fatalf("%q: %q is left over", line, p.text())
	}
	return st
}

type stepParser struct {
	scanner.Scanner
	t    testing.TB
	line string
	tok  rune
}

func newStepParser(t testing.TB, line string) *stepParser {
	p := &stepParser{t: t, line: line}
	p.Init(strings.NewReader(line))
	p.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.next()
	return p
}

func (p *stepParser) next()        { p.tok = p.Scan() }
func (p *stepParser) text() string { return p.TokenText() }

func (p *stepParser) word() string {
	defer p.next()
	return p.text()
}

func (p *stepParser) expect(text string) {
	p.t.Helper()
	if got := p.word(); got != text {
		p.t.Fatalf("%q: %q in place of %q", p.line, got, text)
	}
}

// name reads a word or a quoted text.
func (p *stepParser) name() string {
	word := p.word()
	if text, err := strconv.Unquote(word); err == nil {
		return text
	}
	return word
}

// value reads bytes: "text", 0xhex, u32 N, u64 N, candid(...), one after the other.
func (p *stepParser) value() []byte {
	p.t.Helper()
	var out []byte
	for {
		switch word := p.text(); {
		case p.tok == scanner.String:
			out = append(out, p.name()...)
		case p.tok == scanner.Int && strings.HasPrefix(word, "0x"):
			raw, err := hex.DecodeString(word[2:])
			if err != nil {
				p.t.Fatalf("%q: %v", p.line, err)
			}
			out = append(out, raw...)
			p.next()
		case word == "u32":
			p.next()
			out = binary.LittleEndian.AppendUint32(out, uint32(p.number().Uint64()))
		case word == "u64":
			p.next()
			out = binary.LittleEndian.AppendUint64(out, p.number().Uint64())
		case word == "candid":
			p.next()
			out = append(out, p.candid()...)
		default:
			return out
		}
	}
}

func (p *stepParser) number() *big.Int {
	p.t.Helper()
	n, ok := new(big.Int).SetString(p.word(), 0)
	if !ok {
		p.t.Fatalf("%q: not a number", p.line)
	}
	return n
}

// candid reads arguments of primitive types, as in (nat 5, text "a").
func (p *stepParser) candid() []byte {
	p.t.Helper()
	var types, values []byte
	for p.expect("("); p.text() != ")"; {
		switch kind := p.word(); kind {
		case "nat":
			types = append(types, 0x7d)
			n, low := p.number(), new(big.Int)
			for n.BitLen() > 7 {
				values = append(values, 0x80|byte(low.And(n, big.NewInt(0x7f)).Uint64()))
				n.Rsh(n, 7)
			}
			values = append(values, byte(n.Uint64()))
		case "nat64":
			types = append(types, 0x78)
			values = binary.LittleEndian.AppendUint64(values, p.number().Uint64())
		case "text":
			types = append(types, 0x71)
			text := p.name()
			values = append(binary.AppendUvarint(values, uint64(len(text))), text...)
		default:
			p.t.Fatalf("%q: no type %q here", p.line, kind)
		}
		if p.text() == "," {
			p.next()
		}
	}
	p.next()
	head := binary.AppendUvarint([]byte("DIDL\x00"), uint64(len(types)))
	return slices.Concat(head, types, values)
}

var unknownImports = regexp.MustCompile(`unknown imports: ([^;]*)`)

// waitsFor tells what a module needs that is not there yet, "" if nothing.
func waitsFor(t testing.TB, wasm []byte, steps []step) string {
	t.Helper()
	var reasons []string
	for _, st := range steps {
		if _, ok := stepKinds[st.kind]; !ok {
			reasons = append(reasons, "step "+st.kind)
		}
	}
	_, err := Prepare(wasm, plainSetup().limits)
	text := refusal(err)
	if err != nil && text == "" {
		t.Fatal(err)
	}
	missing := unknownImports.FindStringSubmatch(text)
	switch first := steps[0]; {
	case first.want == "refused" && strings.Contains(text, first.contains):
	case missing != nil:
		reasons = append(reasons, missing[1])
	case strings.Contains(text, "64-bit"):
		reasons = append(reasons, "64-bit memory")
	case strings.Contains(text, "this entry point is not supported"):
		reasons = append(reasons, "entry point")
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}

// checkWaiting compares what waits with the record, a count and a line each.
func checkWaiting(t *testing.T, path string, waiting map[string]string) {
	t.Helper()
	var now []string
	for name, reason := range waiting {
		now = append(now, name+": "+reason+"\n")
	}
	slices.Sort(now)
	text := fmt.Sprintf("%d wait\n", len(now)) + strings.Join(now, "")
	record, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if string(record) == text {
		return
	}
	for _, line := range now {
		if name, _, _ := strings.Cut(line, ": "); record != nil && !bytes.Contains(record, []byte("\n"+name+": ")) {
			t.Errorf("%s ran before and waits now: %s", name, waiting[name])
		}
	}
	if !*updateRecords {
		t.Errorf("%s is not what waits now: run the test with -update", path)
	} else if !t.Failed() {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
