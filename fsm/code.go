package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// Code is what a message will need compiled: a module for a canister, or the canister's own under limits that are to change.
type Code struct {
	// Canister is its name, or its principal's text; that of one that is to be made is of no use and no harm.
	Canister string
	// Module is nil for the canister's own. It must not be changed.
	Module []byte
	// Limits are changes of the canister's, as in "MemoryBytes=65536 StackUnits=1000"; "" for none.
	Limits string
}

// Compile makes code ready to run before the message that needs it is put into a round, so that the round need not wait for
// the compiler: the engine keeps what it has compiled. It runs beside rounds, on its caller's goroutine, and can't change any
// outcome: a machine that was not asked to compiles when the round comes. refusal says what is wrong with a module; changes of
// limits that are wrong are left to the round to refuse.
func (m *Machine) Compile(c Code) (hash canister.ModuleHash, refusal string, err error) {
	cluster, limits, known := m.limitsOf(&c)
	if !known {
		return hash, "", nil
	}
	module, refusal, err := m.compile(c.Module, cluster, limits)
	if module != nil {
		hash = module.Program.Hash
	}
	return hash, refusal, err
}

// limitsOf gives the limits under which code will run, and the code its module; known is false if only the round can tell.
func (m *Machine) limitsOf(c *Code) (cluster Limits, l canister.Limits, known bool) {
	cluster, l, own := m.compiledFor(c.Canister)
	if c.Limits != "" && (own == nil || assign(canisterLimits(&l), c.Limits) != nil || l.Validate() != nil) {
		return cluster, l, false
	}
	if c.Module == nil {
		c.Module = own
	}
	return cluster, l, true
}

// Refusal says what is wrong with a module, as Compile would, "" if nothing is. It takes a few passes over the module and
// compiles nothing.
func (m *Machine) Refusal(c Code) string {
	cluster, limits, known := m.limitsOf(&c)
	if !known {
		return ""
	}
	prepared, refusal := prepare(c.Module, cluster, limits)
	if prepared == nil {
		return refusal
	}
	if err := m.cfg.Engine.Validate(prepared); err != nil {
		return err.Error()
	}
	return ""
}

// compiledFor tells the limits under which a canister's code is compiled, or will be, and its module if it is there.
func (m *Machine) compiledFor(name string) (cluster Limits, l canister.Limits, module []byte) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil {
		return DefaultLimits(), DefaultLimits().Canister, nil
	}
	s := &m.current.state
	record := s.canisterNamed(name)
	if principal, err := canister.ParsePrincipal(name); record == nil && err == nil {
		id, _ := canister.CanisterOf(principal)
		record = s.canister(CanisterID(id))
	}
	if record == nil {
		return s.Limits, s.Limits.Canister, nil
	}
	return s.Limits, record.Limits, record.live.Module().Program.Original
}

// CodeOf gives the code that a client's message will need, false if it needs none that is not there: that of a message which
// brings a module or changes a canister's limits, also as the argument of the management canister's methods.
func CodeOf(m *Message, cluster Limits) (Code, bool) {
	switch {
	case m.Kind == KindInstall || m.Kind == KindUpgrade || m.Kind == KindReinstall:
		return Code{Canister: m.Canister, Module: m.Module}, true
	case m.Kind == KindLimits:
		return Code{Canister: m.Canister, Limits: string(m.Arg)}, m.Canister != ""
	case m.Kind != KindUpdate || m.Canister != ManagementCanister || m.Method != "install_code" && m.Method != "update_settings":
		return Code{}, false
	}
	args, err := candid.Args(m.Arg)
	if err != nil || len(args) == 0 {
		return Code{}, false
	}
	c := Code{Canister: targetOf(args[0])}
	if m.Method == "install_code" {
		installation, err := installation(args[0])
		c.Module = installation.module
		return c, err == nil
	}
	settings := canisterSettings{}
	field, err := args[0].Field("settings")
	if err != nil || settings.change(field, cluster.Canister) != nil || settings.limits.MemoryBytes == 0 {
		return Code{}, false
	}
	c.Limits = fmt.Sprintf("MemoryBytes=%d", settings.limits.MemoryBytes)
	return c, true
}

// targetOf is the text of the principal that an argument names; "" if it names none.
func targetOf(arg candid.Raw) string {
	field, err := arg.Field("canister_id")
	if err != nil {
		return ""
	}
	principal, err := field.Principal()
	if err != nil {
		return ""
	}
	return canister.PrincipalText(principal)
}

// prepare prepares a module for a canister with some limits. refusal says what is wrong with it.
func prepare(wasm []byte, cluster Limits, l canister.Limits) (p *canister.Program, refusal string) {
	if limit := cluster.ModuleBytes; uint64(len(wasm)) > limit {
		return nil, fmt.Sprintf("module is %d bytes long, the cluster allows %d", len(wasm), limit)
	}
	p, err := canister.Prepare(wasm, l)
	if err != nil {
		return nil, err.Error()
	}
	return p, ""
}

// compile prepares and compiles a module for a canister with some limits. refusal says what is wrong with the module; an error,
// that the world failed.
func (m *Machine) compile(wasm []byte, cluster Limits, l canister.Limits) (module *canister.Module, refusal string, err error) {
	prepared, refusal := prepare(wasm, cluster, l)
	if prepared == nil {
		return nil, refusal, nil
	}
	module, err = m.cfg.Engine.Compile(prepared)
	if refusal := new(program.Refusal); errors.As(err, &refusal) {
		return nil, refusal.Error(), nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("compile module: %w", err)
	}
	return module, "", nil
}

// storePages cuts data into pages of the store. All-zero pages are absent, as in a memory.
func storePages(pages *memstore.Store, data []byte) (memstore.Version, error) {
	var page, zero [memstore.PageSize]byte
	var edit pagetrie.Map
	builder := edit.Edit()
	count := 0
	for ; count*memstore.PageSize < len(data); count++ {
		n := copy(page[:], data[count*memstore.PageSize:])
		clear(page[n:])
		if page == zero {
			continue
		}
		handle, err := pages.Add(page[:])
		if err != nil {
			return memstore.Version{}, err
		}
		builder.Insert(uint64(count), handle)
	}
	size := (memstore.PageCount(count) + pagesPerWasmPage - 1) / pagesPerWasmPage * pagesPerWasmPage
	return memstore.Version{Size: size, Pages: builder.Map()}, nil
}

const pagesPerWasmPage = memstore.WasmPageSize / memstore.PageSize

// loadPages is the inverse of storePages.
func loadPages(pages *memstore.Store, v memstore.Version, size uint64) []byte {
	data := make([]byte, uint64(v.Size)*memstore.PageSize)
	for key, handle := range v.Pages.All() {
		copy(data[key*memstore.PageSize:], pages.Page(handle))
	}
	return data[:size]
}
