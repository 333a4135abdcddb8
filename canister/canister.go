//go:build cgo

package canister

import (
	"errors"
	"fmt"
	"sync/atomic"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
	"lockstep/memstore"
)

func (c Config) check(m *Module) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("canister configuration: %w", err)
	}
	have, want := m.Program.Config, c.Limits.shape()
	if have.MemoryPages != want.MemoryPages || have.StackUnits != want.StackUnits {
		return fmt.Errorf("module %s was prepared under other limits: %d pages and %d units of stack, not %d and %d",
			m.Program.Hash, have.MemoryPages, have.StackUnits, want.MemoryPages, want.StackUnits)
	}
	return nil
}

// Canister is a program with its state, live: one instance stays over its
// memory between messages.
//
// Update and Close are for one goroutine; Query and State may be called at the
// same time as Update.
type Canister struct {
	config  Config
	module  *Module
	live    *instance
	state   atomic.Pointer[State]
	broken  error // why no message can run any more
	queries *queryPool
}

// Install makes a canister out of a module: fresh memory, data segments, start
// function, _initialize, canister_init with the argument. The outcome is
// Replied with no bytes if all went well; otherwise there is no canister.
// Fuel is bounded by Limits.InstallFuel for all of it together.
func Install(c Config, m *Module, env Env, arg []byte) (*Canister, Outcome, error) {
	if err := c.check(m); err != nil {
		return nil, Outcome{}, err
	}
	in, err := newInstance(instanceConfig{Config: c, module: m})
	if err == errTrapAtInstantiation {
		return nil, failed(Trapped, string(errTrapAtInstantiation), 0), nil
	}
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("install: %w", err)
	}
	out, state, err := in.install(env, arg)
	if err != nil || out.Status != Replied {
		if err = errors.Join(err, in.close()); err != nil {
			return nil, Outcome{}, fmt.Errorf("install: %w", err)
		}
		return nil, out, nil
	}
	return newCanister(c, in, state), out, nil
}

// install brings a fresh instance to its first state.
func (in *instance) install(env Env, arg []byte) (Outcome, State, error) {
	if err := in.begin(State{}); err != nil {
		return Outcome{}, State{}, err
	}
	in.writeSegments()
	s := &setUp{fuel: in.config.Limits.InstallFuel, env: env}
	out, err := s.run(in, []phase{
		{program.StartExport, systemapi.InStart, nil},
		{program.InitializeExport, systemapi.InInit, nil},
		{program.InitExport, systemapi.InInit, arg},
	})
	if err != nil || out.Status != Replied {
		return out, State{}, err
	}
	state, err := in.commit()
	return out, state, err
}

// setUp runs the phases of an installation or upgrade.
type setUp struct {
	env   Env
	fuel  uint64 // for all of it together
	spent uint64
	steps uint32 // so far
	timer *uint64
}

// phase is an entry point that is run if the module has it.
type phase struct {
	export   string
	occasion systemapi.Occasion
	arg      []byte
}

// run gives Replied, or how the first one ended that failed.
func (s *setUp) run(in *instance, phases []phase) (Outcome, error) {
	for _, st := range phases {
		if !in.module.Program.Has(st.export) {
			continue
		}
		s.steps++
		out, err := in.run(target{export: st.export}, systemapi.Execution{Env: s.env, Occasion: st.occasion, Arg: st.arg,
			Step: s.steps, Fuel: s.fuel - s.spent})
		s.spent += out.Fuel
		if err != nil || !out.Status.Committed() {
			out.Fuel = s.spent
			return out, err
		}
		if out.Timer != nil {
			s.timer, s.env.Timer = out.Timer, *out.Timer
		}
	}
	return Outcome{Status: Replied, Fuel: s.spent, Timer: s.timer}, nil
}

// Restore makes a canister of a state: nothing of the module runs and no
// segment is written. The pages of the state must be pinned, or the newest of
// their memory.
func Restore(c Config, m *Module, s State) (*Canister, error) {
	if err := c.check(m); err != nil {
		return nil, err
	}
	if !s.fits(m.Program) {
		return nil, fmt.Errorf("restore: a state of %d pages and %d globals cannot be one of module %s",
			s.Memory.Size, len(s.Globals), m.Program.Hash)
	}
	in, err := newInstance(instanceConfig{Config: c, module: m, state: &s})
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return newCanister(c, in, s), nil
}

func newCanister(c Config, in *instance, s State) *Canister {
	can := &Canister{config: c, module: in.module, live: in}
	can.state.Store(&s)
	can.queries = newQueryPool(can)
	return can
}

// Module is what the canister runs.
func (c *Canister) Module() *Module { return c.module }

// State is the canister's state after the newest message. O(1).
func (c *Canister) State() State { return *c.state.Load() }

// Update runs one message: Execute with EntryUpdate.
func (c *Canister) Update(env Env, msg Message) (Outcome, error) {
	return c.Execute(env, Input{Method: msg.Method, Arg: msg.Arg})
}

// Execute enters the canister once. A query method may be called as an update,
// too: its changes are discarded. Unless the outcome's status says Committed,
// the state is what it was. After an error the canister runs nothing more, as
// its replica must not.
func (c *Canister) Execute(env Env, in Input) (Outcome, error) {
	if c.broken != nil {
		return Outcome{}, c.broken
	}
	out, err := c.execute(env, in)
	if err != nil {
		c.broken = fmt.Errorf("execution of canister %d in round %d: %w", env.Canister, env.Round, err)
		return Outcome{}, c.broken
	}
	return out, nil
}

func (c *Canister) execute(env Env, in Input) (Outcome, error) {
	t, occasion, keep, out := in.lookup(c.module.Program)
	if out.Status != 0 {
		return out, nil
	}
	if err := c.live.beginKind(c.State(), in.kind()); err != nil {
		return Outcome{}, err
	}
	out, err := c.live.run(t, in.execution(env, occasion, c.config.Limits.Fuel))
	if err != nil {
		return Outcome{}, err
	}
	if keep && out.Status.Committed() {
		state, err := c.live.commit()
		if err != nil {
			return Outcome{}, err
		}
		c.state.Store(&state)
		return out, nil
	}
	return out, c.rollback()
}

// rollback undoes the message, replacing the instance if its memory grew.
func (c *Canister) rollback() error {
	state := c.State()
	err := c.live.rollback(state)
	if !errors.Is(err, memstore.ErrGrown) {
		return err
	}
	old := c.live
	c.live, err = newInstance(instanceConfig{Config: c.config, module: c.module, state: &state, like: old.tracked})
	return errors.Join(err, old.close())
}

// Close frees what the canister holds; its states stay in the Store. Queries
// must have ended.
func (c *Canister) Close() error {
	err := c.queries.close()
	if c.live != nil {
		err = errors.Join(err, c.live.close())
		c.live = nil
	}
	c.broken = errors.New("the canister is closed")
	return err
}
