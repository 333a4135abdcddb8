package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxErrors is how many errors of one text are told before the reading stops.
const maxErrors = 10

// Parse reads a plan. Empty lines and lines that begin with # are skipped. Every error begins with the name and the line's
// number; up to ten are told, a line each, and then no plan is returned. The plan has passed Validate.
func Parse(r io.Reader, name string) (*Plan, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", name, err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: the plan has more than %d bytes", name, MaxBytes)
	}
	p := parser{name: name, plan: new(Plan), seen: map[string]int{}}
	for line := range strings.Lines(string(text)) {
		p.line++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if p.read(line); len(p.errs) >= maxErrors {
			break
		}
	}
	if !p.begun && len(p.errs) == 0 {
		p.fail(fmt.Errorf("the plan is empty; it begins with the line %q", magic))
	}
	if len(p.errs) == 0 {
		if err := p.plan.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return p.plan, nil
	}
	return nil, errors.Join(p.errs...)
}

type parser struct {
	name  string
	line  int
	plan  *Plan
	begun bool
	seen  map[string]int // line word: its line
	errs  []error
}

func (p *parser) fail(err error) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", p.name, p.line, err))
}

func (p *parser) read(line string) {
	if !p.begun {
		p.begun = true
		if line != magic {
			p.fail(fmt.Errorf("the first line is %q, a plan begins with %q", clip(line), magic))
		}
		return
	}
	words := strings.Fields(line)
	err := p.readLine(words[0], words[1:])
	if err != nil {
		p.fail(err)
	}
}

func (p *parser) readLine(word string, rest []string) error {
	if word == "at" {
		return p.readFault(rest)
	}
	if word == "replica" {
		return p.readReplica(rest)
	}
	if at := p.seen[word]; at != 0 {
		return fmt.Errorf("a second line %q; the first is line %d", clip(word), at)
	}
	p.seen[word] = p.line
	switch word {
	case "seed":
		return p.readSeed(rest)
	case "allow":
		return p.readAllow(rest)
	}
	known := []string{"seed", "replica", "allow", "at"}
	for _, l := range p.plan.lines() {
		if l.word == word {
			return readValues(l.values, rest)
		}
		known = append(known, l.word)
	}
	return fmt.Errorf("unknown line %q; lines begin with %s", clip(word), strings.Join(known, ", "))
}

func (p *parser) readSeed(rest []string) error {
	if len(rest) != 1 {
		return errors.New("write one number: seed 42")
	}
	return seedValue("seed", &p.plan.Seed).parse(rest[0])
}

func (p *parser) readAllow(rest []string) error {
	if len(rest) == 0 {
		return errors.New("nothing is allowed; write stall, loss, or both, or leave the line away")
	}
	for _, w := range rest {
		switch w {
		case "stall":
			p.plan.Allow.Stall = true
		case "loss":
			p.plan.Allow.Loss = true
		default:
			return fmt.Errorf("cannot allow %q; write stall or loss", clip(w))
		}
	}
	return nil
}

func (p *parser) readReplica(rest []string) error {
	next := len(p.plan.Replicas) + 1
	if len(rest) == 0 || rest[0] != strconv.Itoa(next) {
		return fmt.Errorf("this line is about replica %d: number the replicas from 1 without a gap", next)
	}
	if next > MaxReplicas {
		return fmt.Errorf("more than %d replicas", MaxReplicas)
	}
	var o Options
	err := readValues(o.values(), rest[1:])
	p.plan.Replicas = append(p.plan.Replicas, o)
	return err
}

// readFault reads "at 3s for 1s crash nodes=2 power=torn" behind its first word.
func (p *parser) readFault(rest []string) error {
	var f Fault
	if len(p.plan.Faults) >= MaxFaults {
		return fmt.Errorf("more than %d faults", MaxFaults)
	}
	if len(rest) == 0 {
		return errors.New("a fault without a time: at 3s for 1s crash nodes=2")
	}
	if err := timeValue("at", &f.At, 0, MaxTime).parse(rest[0]); err != nil {
		return err
	}
	rest = rest[1:]
	if len(rest) >= 2 && rest[0] == "for" {
		if err := timeValue("for", &f.For, time.Nanosecond, MaxTime).parse(rest[1]); err != nil {
			return err
		}
		rest = rest[2:]
	}
	if len(rest) == 0 {
		return errors.New("a fault without a kind: at 3s for 1s crash nodes=2")
	}
	f.Kind = Kind(rest[0])
	if _, ok := SpecOf(f.Kind); !ok {
		return fmt.Errorf("unknown fault %q; there are %s", clip(rest[0]), join(Kinds(Sim|Real)))
	}
	if err := readValues(f.values(), rest[1:]); err != nil {
		return err
	}
	if err := f.validate(); err != nil {
		return err
	}
	p.plan.Faults = append(p.plan.Faults, f)
	return nil
}

// readValues reads key=value words into the values that they name.
func readValues(values []value, words []string) error {
	var done []Key
	for _, w := range words {
		key, text, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q is not key=value", clip(w))
		}
		i := slices.IndexFunc(values, func(v value) bool { return string(v.key) == key })
		if i < 0 {
			return fmt.Errorf("unknown key %q; there are %s", clip(key), join(keysOf(values)))
		}
		if contains(done, values[i].key) {
			return fmt.Errorf("%s is there twice", key)
		}
		done = append(done, values[i].key)
		if err := values[i].parse(text); err != nil {
			return err
		}
	}
	return nil
}

func parseKinds(text string) ([]Kind, error) {
	var kinds []Kind
	for w := range strings.SplitSeq(text, ",") {
		if _, ok := SpecOf(Kind(w)); !ok {
			return nil, fmt.Errorf("unknown fault %q", clip(w))
		}
		if slices.Contains(kinds, Kind(w)) {
			return nil, fmt.Errorf("fault %s is there twice", w)
		}
		kinds = append(kinds, Kind(w))
	}
	return kinds, nil
}

func keysOf(values []value) []Key {
	var keys []Key
	for _, v := range values {
		keys = append(keys, v.key)
	}
	return keys
}

func contains(keys []Key, k Key) bool { return slices.Contains(keys, k) }

func joinWith[S ~string](words []S, separator string) string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return strings.Join(all, separator)
}
