package workload

import (
	"strings"

	"lockstep/fsm"
)

// generatorKinds are the values of "generate".
var generatorKinds = []string{"uniform", "skewed", "memory", "life"}

// readGenerator reads a line such as {"generate":"uniform","canister":"kv","keys":1000,"count":5000}.
func (p *parser) readGenerator(f *jsonFields) part {
	kind := f.text("generate", "")
	g := &generator{}
	switch kind {
	case "life":
		return p.readLife(f)
	case "uniform":
		readKeyed(f, g)
	case "skewed":
		readKeyed(f, g)
		p.readSkew(f, g)
	case "memory":
		readMemory(f, g)
	default:
		f.fault("unknown generator %q; there are %s", clip(kind), strings.Join(generatorKinds, ", "))
		return part{}
	}
	count := f.number(numberField{name: "count", otherwise: 1000, min: 1, max: MaxRepeat})
	seed := f.number(numberField{name: "seed", max: 1<<64 - 1})
	f.unknown("a generator of the kind " + kind)
	p.canisters[g.write.canister] = true
	return part{length: count, source: &seededGenerator{g, seed}}
}

// lifeChanges are the words of "change".
var lifeChanges = map[string]fsm.Kind{"install": fsm.KindInstall, "upgrade": fsm.KindUpgrade, "reinstall": fsm.KindReinstall,
	"stop": fsm.KindStop, "start": fsm.KindStart, "delete": fsm.KindDelete}

// readLife reads a line such as {"generate":"life","canister":"kv","change":["stop","upgrade","start"],"count":20}.
func (p *parser) readLife(f *jsonFields) part {
	s := &lifeSource{canister: f.name("canister", "")}
	for _, word := range f.names("change", "stop", "upgrade", "start") {
		change, ok := lifeChanges[word]
		if !ok {
			f.fault("field \"change\" has %q; there are install, upgrade, reinstall, stop, start, delete", clip(word))
			continue
		}
		s.changes = append(s.changes, change)
	}
	count := f.number(numberField{name: "count", otherwise: 1000, min: 1, max: MaxRepeat})
	f.unknown("a generator of the kind life")
	p.canisters[s.canister] = true
	return part{length: count, source: s}
}

// A seededGenerator is a generator whose line has a seed of its own, which changes every choice.
type seededGenerator struct {
	*generator
	seed uint64
}

func (g *seededGenerator) message(n uint64, choices *randomChoices) Message {
	return g.generator.message(n, newRandomChoices(mixSeeds(g.seed, choices.random.Uint64())))
}

// readKeyed reads what uniform and skewed have in common: writes and reads of keys with values.
func readKeyed(f *jsonFields, g *generator) {
	g.values.keys.count = f.number(numberField{name: "keys", otherwise: 1000, min: 1, max: MaxKeys})
	g.values.valueBytes = f.number(numberField{name: "value_bytes", otherwise: 64, max: MaxValueBytes})
	readCalls(f, g, callDefaults{
		canister: "kv",
		method:   []string{"put"}, text: "key/$key=$value",
		readMethod: "get", readText: "key/$key=",
		names: []string{"key", "value", "n", "random"},
	})
}

// readSkew makes the keys of a skewed generator differ in how often they are chosen.
func (p *parser) readSkew(f *jsonFields, g *generator) {
	exponent := f.fraction(fractionField{name: "zipf", otherwise: 0.99, min: 0, max: 10})
	p.skewedKeys += g.values.keys.count
	if p.skewedKeys > MaxSkewedKeys {
		f.fault("the skewed generators up to here have %d keys; at most %d are allowed in one file", p.skewedKeys, MaxSkewedKeys)
		return
	}
	g.values.keys = skewedKeys(g.values.keys.count, exponent)
}

// readMemory reads the patterns of the memory canister.
func readMemory(f *jsonFields, g *generator) {
	const maxPages = 1 << 20 // 4 GiB
	g.values.fixed = map[string]uint64{
		"pages":  f.number(numberField{name: "pages", otherwise: 64, max: maxPages}),
		"area":   f.number(numberField{name: "area", otherwise: 4096, min: 1, max: maxPages}),
		"stride": f.number(numberField{name: "stride", otherwise: 1, max: maxPages}),
		"bytes":  f.number(numberField{name: "bytes", otherwise: 8, max: 4096}),
	}
	const text = "pages=$pages area=$area stride=$stride bytes=$bytes seed=$random"
	readCalls(f, g, callDefaults{
		canister: "memory",
		method:   []string{"sequential", "backward", "random", "sparse", "clustered"}, text: text,
		readMethod: "scan", readText: text,
		names: []string{"pages", "area", "stride", "bytes", "n", "random"},
	})
}

// callDefaults are what a kind of generator calls when its line does not say, and the names its templates may use.
type callDefaults struct {
	canister             string
	method               []string
	text                 string
	readMethod, readText string
	names                []string
}

func readCalls(f *jsonFields, g *generator, d callDefaults) {
	canister := f.name("canister", d.canister)
	g.readFraction = f.fraction(fractionField{name: "read_fraction", otherwise: 0, min: 0, max: 1})
	g.write = generatedCall{canister: canister, methods: f.names("method", d.method...)}
	g.write.argument = readTemplate(f, g, templateField{"text", d.text, d.names})
	g.read = generatedCall{canister: canister, methods: f.names("read_method", d.readMethod), query: true}
	g.read.argument = readTemplate(f, g, templateField{"read_text", d.readText, d.names})
}

// A templateField is a text with the names that may be in it.
type templateField struct {
	name, otherwise string
	names           []string
}

func readTemplate(f *jsonFields, g *generator, t templateField) template {
	parsed, err := parseTemplate(f.text(t.name, t.otherwise), t.names)
	if err != nil {
		f.fault("field %q: %w", t.name, err)
		return nil
	}
	if size := parsed.size(&g.values); size > MaxArgBytes {
		f.fault("field %q makes arguments of up to %d bytes; at most %d are allowed", t.name, size, MaxArgBytes)
	}
	return parsed
}
