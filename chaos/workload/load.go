package workload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Load is what the clients of a run send in place of an embedded workload: a workload file's text and the modules of its canisters.
// What belongs to canisters that come with Lockstep may be left out of the modules.
type Load struct {
	Name    string
	Text    []byte
	Modules []Module
}

// Open gives the messages and the modules of a load; those of the embedded workload of the name if there is no load.
func (l *Load) Open(embedded string) (*Workload, []Module, error) {
	if l == nil {
		l = &Load{Name: embedded}
		w, err := Embedded(embedded)
		if err != nil {
			return nil, nil, err
		}
		modules, err := CompleteModules(nil, w.Canisters())
		return w, modules, err
	}
	w, err := Parse(bytes.NewReader(l.Text), l.Name)
	if err != nil {
		return nil, nil, err
	}
	modules, err := CompleteModules(l.Modules, w.Canisters())
	return w, modules, err
}

// Call is a kind of message for clients to send.
type Call struct {
	Message
	Weight int // how often it is sent, compared with others; at least 1
	// Draw makes up an argument for each message, of the types that the module's interface has for the method; it must have it.
	Draw bool
}

// drawnMessages is how many messages are drawn; then the clients begin again with the first.
const drawnMessages = 500

// Draw makes a load of calls, each as often as its weight says, in an order that belongs to the seed. Without calls it is every method
// that the modules export, as Probe calls them.
func Draw(name string, modules []Module, calls []Call, seed uint64) (*Load, error) {
	l := &Load{Name: name, Modules: modules}
	next, err := drawer(modules, calls, seed)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	for range drawnMessages {
		m := next()
		line := struct {
			Canister string `json:"canister"`
			Method   string `json:"method"`
			Query    bool   `json:"query"`
			Base64   string `json:"base64"`
		}{m.Canister, m.Method, m.Query, base64.StdEncoding.EncodeToString(m.Arg)}
		if err := lines.Encode(line); err != nil {
			return nil, err
		}
	}
	l.Text = text.Bytes()
	return l, nil
}

// drawer gives one message after the other.
func drawer(modules []Module, calls []Call, seed uint64) (func() Message, error) {
	if len(calls) == 0 {
		p, err := Probe(modules, seed, 0)
		if err != nil {
			return nil, err
		}
		return p.Next, nil
	}
	random, total := rand.New(rand.NewPCG(seed, 1)), 0
	for _, c := range calls {
		total += c.Weight
	}
	return func() Message {
		at := random.IntN(total)
		for i := range calls {
			if at -= calls[i].Weight; at >= 0 {
				continue
			}
			m := calls[i].Message
			if calls[i].Draw {
				m.Arg = madeUp(find(modules, m.Canister).Interface.Methods[m.Method].Args, random)
			}
			return m
		}
		panic(fmt.Sprintf("%d is behind the weights of all calls", at))
	}, nil
}

// find gives the module of a canister. Preconditions: it is there.
func find(modules []Module, canister string) *Module {
	for i := range modules {
		if modules[i].Name == canister {
			return &modules[i]
		}
	}
	panic("no module for canister " + canister)
}
