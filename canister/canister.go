package canister

import (
	"errors"
	"fmt"
	"sync/atomic"

	"lockstep/canister/program"
	"lockstep/memstore"
)

// Config is what canisters run with.
type Config struct {
	Engine  *Engine          // required
	Store   *memstore.Store  // holds the pages of their memories; required
	Tracker memstore.Tracker // how changed pages are found; required
	Limits  Limits           // replicated; what programs were prepared with
}

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	if c.Engine == nil {
		errs = append(errs, errors.New("no Engine"))
	}
	if c.Store == nil {
		errs = append(errs, errors.New("no Store"))
	}
	if _, err := memstore.ParseTracker(string(c.Tracker)); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}

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
	p := in.module.Program
	if err := in.begin(); err != nil {
		return Outcome{}, State{}, err
	}
	for _, s := range p.Segments {
		copy(in.memory()[s.Offset:], s.Bytes)
	}
	spent := uint64(0)
	for _, entry := range []struct {
		export   string
		present  bool
		occasion occasion
	}{
		{program.StartExport, p.HasStart, inStart},
		{program.InitializeExport, p.HasInitialize, inInit},
		{program.InitExport, p.HasInit, inInit},
	} {
		if !entry.present {
			continue
		}
		out, err := in.run(entry.export, execution{env, entry.occasion, arg, in.config.Limits.InstallFuel - spent})
		spent += out.Fuel
		if err != nil || out.Status != 0 {
			out.Fuel = spent
			return out, State{}, err
		}
	}
	state, err := in.commit()
	return Outcome{Status: Replied, Fuel: spent}, state, err
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

// Update runs one message. A query method may be called too: it runs as an
// update whose changes are discarded. Unless the outcome's status says
// Committed, the state is what it was. After an error the canister runs no
// more messages, as its replica must not.
func (c *Canister) Update(env Env, msg Message) (Outcome, error) {
	if c.broken != nil {
		return Outcome{}, c.broken
	}
	out, err := c.update(env, msg)
	if err != nil {
		c.broken = fmt.Errorf("update of canister %d in round %d: %w", env.Canister, env.Round, err)
		return Outcome{}, c.broken
	}
	return out, nil
}

func (c *Canister) update(env Env, msg Message) (Outcome, error) {
	p := c.module.Program
	occasion, keep := inUpdate, true
	export, ok := p.Export(msg.Method, false)
	if !ok {
		occasion, keep = inReplicatedQuery, false
		if export, ok = p.Export(msg.Method, true); !ok {
			return methodNotFound("update or query", msg.Method), nil
		}
	}
	if err := c.live.begin(); err != nil {
		return Outcome{}, err
	}
	out, err := c.live.run(export, execution{env, occasion, msg.Arg, c.config.Limits.Fuel})
	if err != nil {
		return Outcome{}, err
	}
	if out.Status == 0 {
		out = c.live.answer(out.Fuel)
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

func methodNotFound(kind, name string) Outcome {
	return failed(MethodNotFound, cleanText(fmt.Sprintf("the canister has no %s method %q", kind, name), maxTrapText), 0)
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
