package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/fsm"
	"lockstep/testdata"
)

// Module is a program to install, checked and ready to be sent.
type Module struct {
	// Name is the canister's name.
	Name string
	// Wasm is the binary, as it is sent; Hash names it.
	Wasm []byte
	Hash canister.ModuleHash
	// Updates and Queries are the methods that it exports.
	Updates, Queries []string
	// Interface is its description in Candid; nil if it carries none. Arg is what it is installed with where nobody says: made-up
	// values in Candid of the types that its interface asks for, else nothing.
	Interface *candid.Description
	Arg       []byte
}

// MaxModuleBytes bounds a module's file; the state machine has the same bound for the binary.
const MaxModuleBytes = fsm.MaxModuleBytes

// ParseModule checks a module, in binary or as WebAssembly text, as an installation would. What cannot be installed is
// refused here, before there is a cluster, with the same reason.
func ParseModule(name string, file []byte) (Module, error) {
	if err := fsm.ValidateCanisterName(name); err != nil {
		return Module{}, err
	}
	wasm := file
	if !bytes.HasPrefix(file, []byte("\x00asm")) {
		var err error
		if wasm, err = parseText(file); err != nil {
			return Module{}, err
		}
	}
	p, err := canister.Prepare(wasm, canister.DefaultLimits())
	if err != nil {
		return Module{}, err
	}
	m := Module{Name: name, Wasm: wasm, Hash: p.Hash, Updates: p.Updates, Queries: p.Queries}
	if did, found := p.Metadata("candid:service"); found {
		if d, err := candid.Parse(string(did)); err == nil { // one that can't be read is of no use, and no harm
			m.Interface = d
			m.Arg = madeUp(d.Init, rand.New(rand.NewPCG(0, 0)))
		}
	}
	return m, nil
}

// parseText turns WebAssembly text into a binary. A file that is neither is called so.
func parseText(file []byte) ([]byte, error) {
	switch {
	case len(bytes.TrimSpace(file)) == 0:
		return nil, errors.New("the file is empty")
	case bytes.IndexByte(file, 0) >= 0:
		return nil, fmt.Errorf("the file is neither a WebAssembly binary nor text: it begins with % x", file[:min(len(file), 8)])
	}
	wasm, err := canister.ParseWAT(file)
	if err != nil {
		return nil, textError(err)
	}
	return wasm, nil
}

// textError makes one sentence of what the parser prints on several lines, with an arrow to the place.
func textError(err error) error {
	lines := strings.Split(err.Error(), "\n")
	what := strings.TrimSpace(lines[0][strings.LastIndex(lines[0], ": ")+1:])
	for _, line := range lines[1:] {
		if _, place, found := strings.Cut(line, "--> "); found {
			if at := strings.Split(place, ":"); len(at) >= 3 {
				return fmt.Errorf("WebAssembly text, line %s, column %s: %s", at[len(at)-2], at[len(at)-1], what)
			}
		}
	}
	return fmt.Errorf("WebAssembly text: %s", what)
}

// ModuleName makes a canister's name of a file's name: "dir/My Game.wasm" is my-game.
func ModuleName(path string) string {
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name)
	return strings.TrimLeft(name, "-_.")
}

// CompleteModules adds the modules of the canisters that come with Lockstep to those given, so that every name has one,
// and gives them in the order of the names. The names of given modules need not be listed.
func CompleteModules(given []Module, names []string) ([]Module, error) {
	modules := slices.Clone(given)
	for _, name := range names {
		if slices.ContainsFunc(modules, func(m Module) bool { return m.Name == name }) {
			continue
		}
		file, _, err := testdata.Canister(name)
		if err != nil {
			return nil, fmt.Errorf("%w: give the module of another one", err)
		}
		m, err := ParseModule(name, file)
		if err != nil {
			return nil, fmt.Errorf("canister %s: %w", name, err)
		}
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(modules); i++ {
		if modules[i].Name == modules[i-1].Name {
			return nil, fmt.Errorf("two modules are given for canister %s", modules[i].Name)
		}
	}
	return modules, nil
}

// madeUp is a valid argument in Candid; no values at all if there is none of the types.
func madeUp(types []*candid.Type, r *rand.Rand) []byte {
	arg, err := candid.Encode(candid.Example(types, r), append([]*candid.Type{}, types...))
	if err != nil {
		arg, _ = candid.Encode("()", nil)
	}
	return arg
}

// probe calls the methods of modules that nobody wrote a workload for: each message is one of their methods, chosen at
// random, with a small random argument. Three in four are updates where a module has both. The methods of a module that carries
// its interface are those that the interface names, and seven of eight arguments are values of the types it asks for.
type probe struct {
	updates, queries []probed
	random           *rand.Rand
}

// probed is a method with the types of its arguments, if they are known.
type probed struct {
	message WorkloadMessage
	method  *candid.Method
}

// ErrNothingToCall says that modules export no method.
var ErrNothingToCall = errors.New("no method to call")

// Probe makes a client's messages of what the modules export. They depend on the modules, the seed and the client alone.
// The error is ErrNothingToCall if they export nothing.
func Probe(modules []Module, seed uint64, client int) (Messages, error) {
	p := &probe{random: rand.New(rand.NewPCG(seed, uint64(client)))}
	for _, m := range modules {
		p.updates = append(p.updates, m.probed(m.Updates, false)...)
		p.queries = append(p.queries, m.probed(m.Queries, true)...)
	}
	if len(p.updates)+len(p.queries) == 0 {
		return nil, fmt.Errorf("%w: the module exports no function named canister_update … or canister_query …", ErrNothingToCall)
	}
	return p, nil
}

// probed is what to call of some exported methods: those that the interface names, all of them where it names none of the module's.
func (m *Module) probed(methods []string, query bool) (out []probed) {
	known := func(method string) bool { return m.Interface != nil && m.Interface.Methods[method] != nil }
	some := slices.ContainsFunc(m.Updates, known) || slices.ContainsFunc(m.Queries, known)
	for _, method := range methods {
		call := probed{message: WorkloadMessage{Canister: m.Name, Method: method, Query: query}}
		if known(method) {
			call.method = m.Interface.Methods[method]
		} else if some {
			continue
		}
		out = append(out, call)
	}
	return out
}

// Next is the next message.
func (p *probe) Next() WorkloadMessage {
	from := p.updates
	if len(p.updates) == 0 || len(p.queries) > 0 && p.random.IntN(4) == 0 {
		from = p.queries
	}
	call := from[p.random.IntN(len(from))]
	m := call.message
	if call.method != nil && p.random.IntN(8) > 0 {
		m.Arg = madeUp(call.method.Args, p.random)
	} else {
		m.Arg = p.argument()
	}
	return m
}

// argument is nothing, a number, words with a "=" between, or bytes; up to 32 bytes.
func (p *probe) argument() []byte {
	number := func() string { return strconv.FormatUint(p.random.Uint64()>>p.random.IntN(64), 10) }
	switch p.random.IntN(4) {
	case 0:
		return nil
	case 1:
		return []byte(number())
	case 2:
		return []byte("key" + strconv.Itoa(p.random.IntN(100)) + "=" + number())
	}
	b := make([]byte, 1+p.random.IntN(32))
	for i := range b {
		b[i] = byte(p.random.Uint32())
	}
	return b
}
