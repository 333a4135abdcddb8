package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// compile makes a message's module ready to run. refusal says what is wrong with the module; an error, that the world failed.
func (w *roundWork) compile(msg *Message) (module *canister.Module, refusal string, err error) {
	if limit := w.next.Limits.ModuleBytes; uint64(len(msg.Module)) > limit {
		return nil, fmt.Sprintf("module is %d bytes long, the cluster allows %d", len(msg.Module), limit), nil
	}
	prepared, err := canister.Prepare(msg.Module, w.next.Limits.Canister)
	if err != nil {
		return nil, err.Error(), nil
	}
	module, err = w.machine.cfg.Engine.Compile(prepared)
	if refusal := new(program.Refusal); errors.As(err, &refusal) {
		return nil, refusal.Error(), nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("round %d: %s canister %s: %w", w.next.Round, msg.Kind, msg.Canister, err)
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
