//go:build cgo

package canister

import (
	"errors"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
	"lockstep/memstore"
)

// instance is one instantiated module over a tracked memory. One goroutine
// uses it at a time.
type instance struct {
	config  Config
	module  *Module
	store   *wasmtime.Store
	inst    *wasmtime.Instance
	mem     *wasmtime.Memory // nil if the module has none that could hold a byte
	path    callPath
	globals *globalSet
	depth   *wasmtime.Global
	timer   *wasmtime.Global // the clock, nil if the module cannot wait
	tracked *memstore.Memory // nil as mem
	stable  *stableMemory
	host    *systemapi.Host
	funcs   map[string]*wasmtime.Func

	certified []byte // data that the canister has certified
}

// errTrapAtInstantiation is given by newInstance when the module's element
// segments do not fit its tables.
const errTrapAtInstantiation = systemapi.Trap("out of bounds table access: an element segment lies outside its table")

// instanceConfig says what an instance is laid over.
type instanceConfig struct {
	Config
	module *Module
	state  *State           // nil: as the module begins, with nothing written yet
	memory memstore.Version // of the replaced module, if state is nil and it is kept
	query  bool             // effects are always discarded
	like   *memstore.Memory // of the same canister, or nil
}

// newInstance instantiates the module and lays the state over it. The start
// function does not run. Errors but for errTrapAtInstantiation are the world's.
func newInstance(c instanceConfig) (*instance, error) {
	e := c.Engine
	in := &instance{config: c.Config, module: c.module, funcs: make(map[string]*wasmtime.Func)}
	in.stable = newStableMemory(c.Config)
	in.host = systemapi.NewHost(in, systemapi.Limits{ReplyBytes: c.Limits.ReplyBytes})
	in.store = wasmtime.NewStoreWithData(e.engine, in.host)
	var err error
	if in.inst, err = e.linkerFor(c.module.Program).Instantiate(in.store, c.module.compiled); err != nil {
		in.store.Close()
		if t, ok := errors.AsType[*wasmtime.Trap](err); ok && t.Code() != nil && *t.Code() == wasmtime.TableOutOfBounds {
			return nil, errTrapAtInstantiation
		}
		return nil, fmt.Errorf("instantiate module %s: %w", c.module.Program.Hash, err)
	}
	in.bind()
	if err := in.lay(c); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

// bind looks up what preparation has exported.
func (in *instance) bind() {
	p := in.module.Program
	globals := make([]*wasmtime.Global, len(p.Globals))
	for i := range globals {
		globals[i] = in.inst.GetExport(in.store, program.GlobalExport(i)).Global()
	}
	in.globals = newGlobalSet(in.store, globals, p.Globals)
	in.depth = in.inst.GetExport(in.store, program.DepthExport).Global()
	if p.HasClock {
		in.timer = globals[len(globals)-1]
	}
	if p.MemoryMax > 0 {
		in.mem = in.inst.GetExport(in.store, program.MemoryExport).Memory()
	}
	if in.config.Engine.config.CallPath == CallStock {
		in.path = &stockCall{store: in.store, mem: in.mem, host: in.host}
	} else {
		in.path = newThinCall(in.store, in.mem, in.host)
	}
}

// lay brings memory and globals to the state, or starts tracking a memory
// that is still as the module defines it.
func (in *instance) lay(c instanceConfig) error {
	version := c.memory
	if c.state != nil {
		version = c.state.Memory
		if err := in.globals.write(c.state.Globals); err != nil {
			return err
		}
	}
	if in.mem == nil {
		return nil
	}
	if err := in.growTo(version.Size); err != nil {
		return err
	}
	var err error
	in.tracked, err = memstore.Attach(memstore.MemoryConfig{
		Store:    c.Store,
		Tracker:  c.Tracker,
		Base:     in.path.base(),
		Reserved: c.module.Program.MemoryMax * memstore.WasmPageSize,
		Size:     in.size().Bytes(),
		Version:  version,
		Query:    c.query,
		Like:     c.like,
	})
	return err
}

func (in *instance) size() memstore.PageCount {
	return memstore.PageCount(in.path.size() / memstore.PageSize)
}

// growTo makes the engine's memory as large as a version's.
func (in *instance) growTo(size memstore.PageCount) error {
	now := in.size()
	if size <= now {
		return nil
	}
	if _, err := in.mem.Grow(in.store, uint64((size-now)/perWasmPage)); err != nil {
		return fmt.Errorf("grow memory from %d to %d bytes: %w", now.Bytes(), size.Bytes(), err)
	}
	in.path.resized()
	return nil
}

// lengthen makes an idle memory as long as another.
func (in *instance) lengthen(size memstore.PageCount) error {
	if in.tracked == nil || in.size() >= size {
		return nil
	}
	if err := in.growTo(size); err != nil {
		return err
	}
	return in.tracked.Resize(in.size())
}

// writeSegments writes the active data segments.
func (in *instance) writeSegments() {
	for _, s := range in.module.Program.Segments {
		copy(in.memory()[s.Offset:], s.Bytes)
	}
}

// begin starts a transaction on the state, to which the instance was brought.
func (in *instance) begin(s State) error { return in.beginKind(s, 0) }

// beginKind is begin for an execution of a kind: executions of one kind are
// expected to write about the same pages. It is a hint for the tracker and
// can't change what is found.
func (in *instance) beginKind(s State, kind uint64) error {
	in.stable.begin(s.Stable)
	in.certified = s.CertifiedData
	if in.tracked == nil {
		return nil
	}
	return in.tracked.BeginKind(kind)
}

// commit keeps what the message did and gives the new state.
func (in *instance) commit() (State, error) {
	s := State{Globals: in.globals.read(), CertifiedData: in.certified}
	var err error
	if s.Stable, err = in.stable.commit(); err != nil {
		return s, err
	}
	if in.tracked == nil {
		return s, nil
	}
	c, err := in.tracked.Commit(in.size())
	s.Memory = c.Version
	return s, err
}

// rollback undoes the message that ran on the state. memstore.ErrGrown says
// that the instance must be replaced.
func (in *instance) rollback(s State) error {
	in.stable.begin(s.Stable)
	if in.tracked != nil {
		if err := in.tracked.Rollback(in.size()); err != nil {
			return err
		}
	}
	return errors.Join(in.globals.write(s.Globals), in.depth.Set(in.store, wasmtime.ValI32(0)))
}

// advance brings an idle instance to another state of its canister.
// memstore.ErrSize says that the instance must be replaced.
func (in *instance) advance(s State) error {
	if in.tracked != nil {
		if err := in.lengthen(s.Memory.Size); err != nil {
			return err
		}
		if err := in.tracked.Advance(s.Memory); err != nil {
			return err
		}
	}
	return in.globals.write(s.Globals)
}

// close frees the instance. It must be called before the engine is closed.
func (in *instance) close() error {
	var err error
	if in.tracked != nil {
		err = in.tracked.Detach()
	}
	in.path.close()
	in.store.Close()
	return err
}

func (in *instance) memory() []byte { return in.path.memory() }

// The instance as host functions need it: systemapi.Machine.

// Memory is the current contents.
func (in *instance) Memory() []byte { return in.path.memory() }

// Stable is the stable memory.
func (in *instance) Stable() systemapi.StableMemory { return in.stable }

// Fuel is what is left.
func (in *instance) Fuel() (uint64, error) { return in.path.fuel() }

// SetFuel changes what is left.
func (in *instance) SetFuel(fuel uint64) error { return in.path.setFuel(fuel) }

// Clock tells how far waiting has brought the canister's clock.
func (in *instance) Clock() int64 {
	if in.timer == nil {
		return 0
	}
	return in.timer.Get(in.store).I64()
}

// SetClock moves it.
func (in *instance) SetClock(t int64) error { return in.timer.Set(in.store, wasmtime.ValI64(t)) }
