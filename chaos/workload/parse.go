package workload

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFaults is how many faults of one file are told before the reading stops.
const maxFaults = 10

// Parse reads a workload: JSON Lines, each line a message or a generator (testdata/workload/README.md
// has the format). Empty lines and lines that begin with # are skipped. The name stands in front of every fault:
// "demo.jsonl:3: ..."; the error has up to ten of them, a line each, and then no Workload is returned.
func Parse(r io.Reader, name string) (*Workload, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read workload %s: %w", name, err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", name, MaxBytes)
	}
	p := parser{workload: &Workload{name: name}, canisters: map[string]bool{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for line := range bytes.Lines(text) {
		p.line++
		if p.readLine(bytes.TrimSpace(line)); p.full() {
			break
		}
	}
	return p.finish()
}

type parser struct {
	workload     *Workload
	canisters    map[string]bool
	line         int // from 1
	lines        int // messages and generators
	skewedKeys   uint64
	inGenerators bool
	faults       []error
}

func (p *parser) fault(err error) {
	p.faults = append(p.faults, fmt.Errorf("%s:%d: %w", p.workload.name, p.line, err))
}

// full says that there is no sense in reading on; the last fault says why.
func (p *parser) full() bool {
	switch {
	case p.lines > MaxLines:
		p.fault(fmt.Errorf("more than %d messages and generators", MaxLines))
		return true
	case len(p.faults) >= maxFaults:
		p.faults = append(p.faults[:maxFaults], fmt.Errorf("%s: and maybe more; reading stopped at line %d", p.workload.name, p.line))
		return true
	default:
		return false
	}
}

func (p *parser) finish() (*Workload, error) {
	if len(p.faults) > 0 {
		return nil, errors.Join(p.faults...)
	}
	if p.lines == 0 {
		return nil, fmt.Errorf("%s: no message in the file", p.workload.name)
	}
	p.workload.canisters = slices.Sorted(maps.Keys(p.canisters))
	return p.workload, nil
}

func (p *parser) readLine(text []byte) {
	if len(text) == 0 || text[0] == '#' {
		return
	}
	p.lines++
	if !utf8.Valid(text) {
		p.fault(errors.New(`not UTF-8 text; arguments of other bytes are written as "hex" or "base64"`))
		return
	}
	f, err := parseJSONFields(text)
	if err != nil {
		p.fault(err)
		return
	}
	isGenerator := f.has("generate")
	var added part
	if isGenerator {
		added = p.readGenerator(f)
	} else {
		added = p.readMessage(f)
	}
	for _, fault := range f.faults {
		p.fault(fault)
	}
	if len(f.faults) == 0 {
		added.line = p.line
		p.workload.add(added, isGenerator && p.inGenerators)
		p.inGenerators = isGenerator
	}
}

// readMessage reads a line such as {"canister":"kv","method":"put","text":"a=1","repeat":3}.
func (p *parser) readMessage(f *jsonFields) part {
	m := Message{Canister: f.name("canister", ""), Method: f.name("method", ""), Query: f.flag("query")}
	m.Arg = readArgument(f)
	repeat := f.number(numberField{name: "repeat", otherwise: 1, min: 1, max: MaxRepeat})
	f.unknown("a message")
	p.canisters[m.Canister] = true
	return part{length: repeat, source: fixedSource{m}}
}

// readArgument takes the argument in one of its spellings; with none it is empty.
func readArgument(f *jsonFields) []byte {
	spellings := []struct {
		name   string
		decode func(string) ([]byte, error)
	}{
		{"text", func(s string) ([]byte, error) { return []byte(s), nil }},
		{"hex", hex.DecodeString},
		{"base64", base64.StdEncoding.DecodeString},
	}
	var argument []byte
	var given []string
	for _, spelling := range spellings {
		text := f.text(spelling.name, "")
		if !f.has(spelling.name) {
			continue
		}
		given = append(given, spelling.name)
		decoded, err := spelling.decode(text)
		if err != nil {
			f.fault("field %q: %w", spelling.name, err)
		}
		argument = decoded
	}
	if len(given) > 1 {
		f.fault("%s are given; only one of text, hex and base64 may be", strings.Join(given, " and "))
	}
	if len(argument) > MaxArgBytes {
		f.fault("the argument is %d bytes long; at most %d are allowed", len(argument), MaxArgBytes)
	}
	return argument
}
