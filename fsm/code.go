package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// Compile makes a module ready to run before the message that brings it is put into a round, so that the round need not wait for
// the compiler: the engine keeps what it has compiled. It runs beside rounds, on its caller's goroutine, and can't change any
// outcome: a machine that was not asked to compiles when the round comes. refusal says what is wrong with the module.
func (m *Machine) Compile(wasm []byte) (hash canister.ModuleHash, refusal string, err error) {
	limits := m.Limits()
	module, refusal, err := m.compile(wasm, limits, limits.Canister)
	if module != nil {
		hash = module.Program.Hash
	}
	return hash, refusal, err
}

// compile prepares and compiles a module for a canister with some limits. refusal says what is wrong with the module; an error,
// that the world failed.
func (m *Machine) compile(wasm []byte, cluster Limits, l canister.Limits) (module *canister.Module, refusal string, err error) {
	if limit := cluster.ModuleBytes; uint64(len(wasm)) > limit {
		return nil, fmt.Sprintf("module is %d bytes long, the cluster allows %d", len(wasm), limit), nil
	}
	prepared, err := canister.Prepare(wasm, l)
	if err != nil {
		return nil, err.Error(), nil
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
