package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"lockstep/canister/candid"
)

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
	message Message
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
		call := probed{message: Message{Canister: m.Name, Method: method, Query: query}}
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
func (p *probe) Next() Message {
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
