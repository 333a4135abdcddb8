package node

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/fsm"
)

// slowGround is a ground whose state machine begins to compile and does not go on until gate is closed.
type slowGround struct {
	Ground
	gate  atomic.Pointer[chan struct{}]
	begun chan struct{}
	// engine is the engine under the state machine.
	engine atomic.Pointer[canister.Engine]
}

func (g *slowGround) shut() { g.gate.Store(new(make(chan struct{}))) }
func (g *slowGround) open() { close(*g.gate.Load()) }

// Open implements Ground.
func (g *slowGround) Open(stop func(error)) (*Parts, error) {
	p, err := g.Ground.Open(stop)
	if err == nil {
		g.engine.Store(p.Machine.(*enginedMachine).engine)
		p.Machine = slowCompiler{p.Machine, g}
	}
	return p, err
}

type slowCompiler struct {
	Machine
	ground *slowGround
}

// Compile implements Machine.
func (m slowCompiler) Compile(code fsm.Code) (canister.ModuleHash, string, error) {
	gate := *m.ground.gate.Load()
	select {
	case <-gate:
	default:
		m.ground.begun <- struct{}{}
		<-gate
	}
	return m.Machine.Compile(code)
}

// startSlow starts n nodes that compile slowly, each with a cache of its own.
func startSlow(t *testing.T, n int) (*cluster, []*slowGround) {
	t.Helper()
	c := newCluster(t, n, nil)
	var grounds []*slowGround
	for i := range n {
		g := &slowGround{begun: make(chan struct{}, 16)}
		g.shut()
		node := newNode(c.cfgs[i].WithDefaults())
		node, err := node.start(node.openDir, node.listen, func() error {
			g.Ground = node.ground
			node.ground = g
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.nodes[i], grounds = node, append(grounds, g)
	}
	return c, grounds
}

// While every node compiles a module, rounds of other canisters are applied everywhere; when it is installed, no node compiles
// in the round, and none has compiled it twice.
func TestRoundsGoOnWhileAModuleCompiles(t *testing.T) {
	c, grounds := startSlow(t, 3)
	client := c.client()
	other := make(chan error, 1)
	install := func(name string) {
		_, err := client.Install(c.ctx, name, []byte(`(module (memory 1) (func (export "canister_update x")))`), nil)
		other <- err
	}
	for _, g := range grounds {
		g.open()
	}
	c.install(client, "counter")
	compiled := make([]uint64, len(grounds))
	for i, g := range grounds {
		compiled[i] = g.engine.Load().Compiled()
		g.shut()
	}
	go install("big")
	for _, g := range grounds {
		<-g.begun
	}
	c.add(client, "counter", 20)
	for i := range c.nodes {
		// The node has applied what the leader has: nothing waits for the compiler.
		reached := c.nodes[c.leader()].Status().Round
		c.eventually("the rounds are applied on every node", func() bool { return c.nodes[i].Status().Round >= reached })
		if got := grounds[i].engine.Load().Compiled(); got != compiled[i] {
			t.Errorf("node %d has compiled %d modules, want %d", i+1, got, compiled[i])
		}
	}
	select {
	case err := <-other:
		t.Fatalf("the module was installed (error %v) before it was compiled", err)
	default:
	}
	for _, g := range grounds {
		g.open()
	}
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	go install("again")
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	reached := c.nodes[c.leader()].Status().Round
	for i, g := range grounds {
		c.eventually("the installation is applied on every node", func() bool { return c.nodes[i].Status().Round >= reached })
		if got := g.engine.Load().Compiled(); got != compiled[i]+1 {
			t.Errorf("node %d has compiled %d modules, want %d", i+1, got-compiled[i], 1)
		}
	}
}

// A canister's code under other limits, and a new module under the limits that it has then, are compiled before their rounds too.
func TestLimitsOfACanisterCompileBeforeTheRound(t *testing.T) {
	c, grounds := startSlow(t, 3)
	client := c.client()
	for _, g := range grounds {
		g.open()
	}
	c.install(client, "counter")
	module := []byte(`(module (memory 1) (func (export "canister_update x")))`)
	for i, change := range []func() (Response, error){
		func() (Response, error) {
			return client.Change(c.ctx, "counter", fsm.Message{Kind: fsm.KindLimits, Arg: []byte("MemoryBytes=1048576 StackUnits=9000")})
		},
		func() (Response, error) {
			return client.Change(c.ctx, "counter", fsm.Message{Kind: fsm.KindUpgrade, Module: module})
		},
		func() (Response, error) { // the management canister's way to change a limit
			arg, err := candid.Encode(`(record { canister_id = principal "`+canister.PrincipalText(canister.Principal(1))+
				`"; settings = record { wasm_memory_limit = opt (2097152 : nat) } })`, nil)
			if err != nil {
				return Response{}, err
			}
			return client.Update(c.ctx, fsm.ManagementCanister, "update_settings", arg)
		},
	} {
		compiled := make([]uint64, len(grounds))
		for n, g := range grounds {
			compiled[n] = g.engine.Load().Compiled()
			g.shut()
		}
		ended := make(chan error, 1)
		go func() {
			r, err := change()
			if err == nil && r.Status != fsm.StatusReplied && r.Status != fsm.StatusNoReply {
				err = errors.New(r.Text)
			}
			ended <- err
		}()
		for _, g := range grounds {
			<-g.begun
		}
		if _, err := client.OpenSession(c.ctx); err != nil { // a round goes through while all compile
			t.Fatal(err)
		}
		for n, g := range grounds {
			if got := g.engine.Load().Compiled(); got != compiled[n] {
				t.Errorf("change %d: node %d has compiled %d modules, want %d", i, n+1, got, compiled[n])
			}
			g.open()
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		reached := c.nodes[c.leader()].Status().Round
		for n, g := range grounds {
			c.eventually("the change is applied on every node", func() bool { return c.nodes[n].Status().Round >= reached })
			if got := g.engine.Load().Compiled(); got != compiled[n]+1 {
				t.Errorf("change %d: node %d has compiled %d modules, want 1", i, n+1, got-compiled[n])
			}
		}
	}
}

// A node that does not answer holds an installation up no longer than the others take, and installs it from the round.
func TestInstallationWithoutAllNodes(t *testing.T) {
	c, grounds := startSlow(t, 3)
	leader := c.leader()
	last := (leader + 1) % 3
	for i, g := range grounds {
		if i != last {
			g.open()
		}
	}
	client := c.client(leader)
	c.install(client, "counter")
	c.add(client, "counter", 3)
	reached := c.nodes[leader].Status().Round
	c.eventually("the node that was not asked in time has installed it too", func() bool { return c.nodes[last].Status().Round >= reached })
	grounds[last].open()
}

// What is no module is refused before any node compiles, is asked to, or a round is made.
func TestBadModulesAreRefusedBeforeARound(t *testing.T) {
	c, grounds := startSlow(t, 3)
	client := c.client()
	leader := c.leader()
	round := c.nodes[leader].Status().Round
	for _, module := range []string{
		"\x00asm\x01\x00\x00\x00\x63",
		`(module (func (export "canister_update x") (result i32) (i32.const 1)))`,
		// Only the engine finds this one: its code has no value where one is needed.
		"\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x0a\x05\x01\x03\x00\x1a\x0b",
	} {
		_, err := client.Install(c.ctx, "bad", []byte(module), nil)
		if failed, ok := err.(*CallError); !ok || failed.Code != http.StatusBadRequest || failed.Outcome != OutcomeRefused {
			t.Errorf("%q: %v", module, err)
		}
	}
	for i, g := range grounds {
		if len(g.begun) > 0 {
			t.Errorf("node %d has begun to compile", i+1)
		}
		g.open()
	}
	if got := c.nodes[leader].Status().Round; got != round {
		t.Errorf("round %d, was %d", got, round)
	}
}
