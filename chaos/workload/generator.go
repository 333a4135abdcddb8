package workload

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"lockstep/fsm"
)

// A fixedSource is a message line: the same message every time.
type fixedSource struct{ fixed Message }

func (s fixedSource) message(uint64, *randomChoices) Message { return s.fixed }

// A generatedCall is what a generator fills in to make a message.
type generatedCall struct {
	canister string
	methods  []string // one is chosen with equal chances
	argument template
	query    bool
}

// A generator makes messages of two kinds, writes and reads, whose arguments are filled-in templates.
type generator struct {
	write, read  generatedCall
	readFraction float64
	values       templateValues
}

// A lifeSource makes changes of a canister's life, each of them one of a list with equal chances.
type lifeSource struct {
	canister string
	changes  []fsm.Kind
}

func (s *lifeSource) message(_ uint64, choices *randomChoices) Message {
	return Message{Canister: s.canister, Change: s.changes[choices.random.IntN(len(s.changes))]}
}

// templateValues are what the names in a template stand for; those that a kind of generator does not have are zero.
type templateValues struct {
	keys       keyChoice
	valueBytes uint64
	fixed      map[string]uint64 // pages, area, ...: the line's own numbers
}

func (g *generator) message(n uint64, choices *randomChoices) Message {
	chosen := &g.write
	if choices.chance(g.readFraction) {
		chosen = &g.read
	}
	method := chosen.methods[choices.random.IntN(len(chosen.methods))]
	return Message{
		Canister: chosen.canister,
		Method:   method,
		Arg:      chosen.argument.fill(&g.values, n, choices),
		Query:    chosen.query,
	}
}

// A keyChoice chooses a key's number.
type keyChoice struct {
	count      uint64
	cumulative []float64 // for skewed keys: the probability of this key or a smaller one, times an unknown total
}

// skewedKeys makes key k (from 0) as frequent as 1/(k+1)^exponent: Zipf's law.
func skewedKeys(count uint64, exponent float64) keyChoice {
	cumulative, total := make([]float64, count), 0.0
	for k := range cumulative {
		total += math.Pow(float64(k+1), -exponent)
		cumulative[k] = total
	}
	return keyChoice{count: count, cumulative: cumulative}
}

func (k *keyChoice) choose(choices *randomChoices) uint64 {
	if k.cumulative == nil {
		return choices.random.Uint64N(k.count)
	}
	last := len(k.cumulative) - 1
	place := choices.random.Float64() * k.cumulative[last]
	return uint64(min(sort.SearchFloat64s(k.cumulative, place), last))
}

// A template is text with names in it: "key/$key=$value". "$$" is a dollar sign.
type template []piece

// A piece is literal text, or the name of a value when name is not empty.
type piece struct{ literal, name string }

// parseTemplate refuses names that are not in the list.
func parseTemplate(text string, known []string) (template, error) {
	var t template
	for {
		literal, rest, found := strings.Cut(text, "$")
		if literal != "" {
			t = append(t, piece{literal: literal})
		}
		if !found {
			return t, nil
		}
		if strings.HasPrefix(rest, "$") {
			t, text = append(t, piece{literal: "$"}), rest[1:]
			continue
		}
		name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz_"))]
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown name $%s; there are %s, and $$ for a dollar sign", name, "$"+strings.Join(known, ", $"))
		}
		t, text = append(t, piece{name: name}), rest[len(name):]
	}
}

func (t template) fill(values *templateValues, n uint64, choices *randomChoices) []byte {
	var text []byte
	for _, p := range t {
		switch p.name {
		case "":
			text = append(text, p.literal...)
		case "key":
			text = strconv.AppendUint(text, values.keys.choose(choices), 10)
		case "value":
			text = append(text, choices.printable(values.valueBytes)...)
		case "n":
			text = strconv.AppendUint(text, n, 10)
		case "random":
			text = strconv.AppendUint(text, choices.random.Uint64()>>1, 10)
		default:
			text = strconv.AppendUint(text, values.fixed[p.name], 10)
		}
	}
	return text
}

// size is the most bytes that the filled-in template can have.
func (t template) size(values *templateValues) uint64 {
	const digits = 20
	var total uint64
	for _, p := range t {
		switch p.name {
		case "":
			total += uint64(len(p.literal))
		case "value":
			total += values.valueBytes
		default:
			total += digits
		}
	}
	return total
}
