package canister

import (
	"errors"
	"os"
	"sync"
	"testing"

	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// shared engines, one a level of optimisation: starting one is dear.
var engines = struct {
	sync.Mutex
	m map[EngineConfig]*Engine
}{m: make(map[EngineConfig]*Engine)}

func testEngine(t testing.TB, c EngineConfig) *Engine {
	t.Helper()
	engines.Lock()
	defer engines.Unlock()
	if e := engines.m[c]; e != nil {
		return e
	}
	e, err := NewEngine(c)
	if err != nil {
		t.Fatal(err)
	}
	engines.m[c] = e
	return e
}

// setup is one way to run a canister.
type setup struct {
	engine  EngineConfig
	tracker memstore.Tracker
	limits  Limits
}

func plainSetup() setup {
	l := DefaultLimits()
	l.MemoryBytes = 64 << 20
	l.Fuel = 20_000_000
	l.InstallFuel = 2_000_000_000
	return setup{EngineConfig{OptLevel: OptSpeed}, memstore.TrackerCompare, l}
}

func (s setup) config(t testing.TB) Config {
	t.Helper()
	store, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return Config{Engine: testEngine(t, s.engine), Store: store, Tracker: s.tracker, Limits: s.limits}
}

func wat(t testing.TB, text string) []byte {
	t.Helper()
	wasm, err := ParseWAT([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return wasm
}

func compile(t testing.TB, c Config, wasm []byte) *Module {
	t.Helper()
	p, err := Prepare(wasm, c.Limits)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Engine.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rig is an installed canister and what it takes to call it.
type rig struct {
	t      testing.TB
	config Config
	*Canister
	original []byte
	messages uint64
	log      []string
}

func install(t testing.TB, s setup, wasm []byte) *rig {
	t.Helper()
	return installArg(t, s, wasm, "init")
}

func installArg(t testing.TB, s setup, wasm []byte, arg string) *rig {
	t.Helper()
	r := &rig{t: t, config: s.config(t), original: wasm}
	can, out, err := Install(r.config, compile(t, r.config, wasm), r.env(), []byte(arg))
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != Replied {
		t.Fatalf("install: %v", out)
	}
	r.adopt(can)
	return r
}

func (r *rig) adopt(c *Canister) {
	r.Canister = c
	r.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// replica restores a canister from a state, copied to a store of its own, as
// another replica would.
func (r *rig) replica(s setup, state State) *rig {
	r.t.Helper()
	c := &rig{t: r.t, config: s.config(r.t), messages: r.messages}
	for _, m := range []*pagetrie.Map{&state.Memory.Pages, &state.Stable.Pages} {
		pages := pagetrie.Map{}.Edit()
		for i, h := range m.All() {
			copied, err := c.config.Store.Add(r.config.Store.Page(h))
			if err != nil {
				r.t.Fatal(err)
			}
			pages.Insert(i, copied)
		}
		*m = pages.Map()
	}
	m := compile(r.t, c.config, r.original)
	can, err := Restore(c.config, m, state)
	if err != nil {
		r.t.Fatal(err)
	}
	c.original = r.original
	c.adopt(can)
	return c
}

const rigCanister = 7 // id of every rig's canister

func (r *rig) env() Env {
	r.messages++
	return Env{Canister: rigCanister, Round: r.messages, Message: 3, CallsLeft: 1000, Time: r.now(),
		Caller: []byte("caller"), Log: func(s string) { r.log = append(r.log, s) }}
}

// now is the time of the newest message.
func (r *rig) now() int64 { return int64(1_700_000_000_000_000_000 + 1000*r.messages) }

func (r *rig) update(method, arg string) Outcome {
	r.t.Helper()
	out, err := r.Update(r.env(), Message{method, []byte(arg)})
	if err != nil {
		r.t.Fatalf("update %s: %v", method, err)
	}
	return out
}

func (r *rig) query(method, arg string) Outcome {
	r.t.Helper()
	out, err := r.Query(r.env(), r.State(), Message{method, []byte(arg)})
	if err != nil {
		r.t.Fatalf("query %s: %v", method, err)
	}
	return out
}

func (r *rig) root() pagetrie.Hash { return r.State().Root(r.config.Store) }

// want fails unless the outcome is as given; text is compared if it failed.
func want(t testing.TB, out Outcome, s Status, text string) {
	t.Helper()
	got := out.Text
	if s == Replied {
		got = string(out.Reply)
	}
	if out.Status != s || got != text {
		t.Errorf("got %v %q, want %v %q", out.Status, got, s, text)
	}
}

func refusal(err error) string {
	if r, ok := errors.AsType[*program.Refusal](err); ok {
		return r.Error()
	}
	return ""
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, e := range engines.m {
		e.Close()
	}
	os.Exit(code)
}

// allSetups crosses trackers with levels of optimisation, sparingly.
func allSetups() []setup {
	var all []setup
	for i, tracker := range []memstore.Tracker{"compare", "naive", "prefetch"} {
		s := plainSetup()
		s.engine, s.tracker = allEngines[i], tracker
		all = append(all, s)
	}
	return all
}

// allEngines differ in all that an engine's configuration may choose.
var allEngines = []EngineConfig{
	{OptLevel: OptSpeed, CallPath: CallThin},
	{OptLevel: OptNone, CallPath: CallStock},
	{OptLevel: OptSpeedAndSize, CallPath: CallThin},
}

func (s setup) name() string {
	return string(s.tracker) + "/" + string(s.engine.OptLevel) + "/" + string(s.engine.CallPath)
}
