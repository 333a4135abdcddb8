package canister

// #include <stdlib.h>
// #include "call.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/cgo"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// thinCall runs calls through the engine's C interface: one crossing a call,
// one a host call, and nothing allocated.
type thinCall struct {
	store  *wasmtime.Store
	run    *C.lockstep_run
	handle cgo.Handle
}

func newThinCall(store *wasmtime.Store, mem *wasmtime.Memory, h *systemapi.Host) *thinCall {
	c := &thinCall{store: store, handle: cgo.NewHandle(h)}
	c.run = (*C.lockstep_run)(C.calloc(1, C.sizeof_lockstep_run))
	c.run.context = unsafe.Pointer(store.Context())
	c.run.host = C.uintptr_t(c.handle)
	if mem != nil {
		c.run.memory = *(*C.lockstep_memory)(unsafe.Pointer(mem)) // the binding's Memory is this struct and nothing else
		c.run.has_memory = 1
	}
	c.resized()
	return c
}

func (c *thinCall) call(f *wasmtime.Func, args []uint64, fuel uint64) (callEnd, error) {
	c.run._func = *(*C.lockstep_func)(unsafe.Pointer(f)) // as above
	c.run.fuel = C.uint64_t(fuel)
	c.run.nargs = C.int(len(args))
	for i, a := range args {
		c.run.args[i] = C.uint64_t(a)
	}
	switch C.lockstep_call(c.run) {
	case C.LOCKSTEP_RETURNED:
		return callEnd{kind: callReturned, left: uint64(c.run.fuel)}, nil
	case C.LOCKSTEP_TRAPPED:
		return callEnd{kind: callTrapped, trap: trapCode(c.run.trap), left: uint64(c.run.fuel)}, nil
	case C.LOCKSTEP_STOPPED:
		return callEnd{kind: callStopped, left: uint64(c.run.fuel)}, nil
	}
	runtime.KeepAlive(c.store)
	return callEnd{}, errors.New(C.GoString(&c.run.message[0]))
}

func (c *thinCall) memory() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c.run.base)), uint64(c.run.size))
}

func (c *thinCall) size() uint64  { return uint64(c.run.size) }
func (c *thinCall) base() uintptr { return uintptr(unsafe.Pointer(c.run.base)) }
func (c *thinCall) resized()      { C.lockstep_look(c.run) }

// fuel and setFuel are for host functions: the C side reads and writes the
// engine's count around each host call.
func (c *thinCall) fuel() (uint64, error) { return uint64(c.run.fuel), nil }

func (c *thinCall) setFuel(fuel uint64) error {
	c.run.fuel = C.uint64_t(fuel)
	return nil
}

func (c *thinCall) close() {
	c.handle.Delete()
	C.free(unsafe.Pointer(c.run))
	c.run = nil
}

// thinDefine defines the i-th host function of a table.
func thinDefine(linker *wasmtime.Linker, wide bool, i int) error {
	f := systemapi.Funcs(wide)[i]
	env := C.uintptr_t(i) << 1
	if wide {
		env |= 1
	}
	typ := engineType(f.Type)
	defer runtime.KeepAlive(typ)
	defer runtime.KeepAlive(linker)
	// The binding's Linker and FuncType begin with the pointer that they wrap.
	ok := C.lockstep_define(*(*unsafe.Pointer)(unsafe.Pointer(linker)),
		(*C.char)(unsafe.Pointer(unsafe.StringData(f.Module))), C.size_t(len(f.Module)),
		(*C.char)(unsafe.Pointer(unsafe.StringData(f.Name))), C.size_t(len(f.Name)),
		*(*unsafe.Pointer)(unsafe.Pointer(typ)), env)
	if ok != 0 {
		return fmt.Errorf("the engine refuses host function %d", i)
	}
	return nil
}

// lockstepHostCall is where host calls come out of C. It says whether the
// canister must stop.
//
//export lockstepHostCall
func lockstepHostCall(handle C.uintptr_t, index C.uintptr_t, raw *C.lockstep_raw) C.int {
	h := cgo.Handle(handle).Value().(*systemapi.Host)
	f := systemapi.Funcs(index&1 != 0)[index>>1]
	params, results := f.Type.Params, f.Type.Results
	slots := unsafe.Slice((*[2]uint64)(unsafe.Pointer(raw)), max(len(params), len(results)))
	var words [systemapi.MaxParams]uint64
	for i, t := range params {
		words[i] = slots[i][0]
		if t == program.I32 || t == program.F32 {
			words[i] &= 0xffffffff
		}
	}
	result, err := h.Dispatch(f, words[:len(params)])
	if err != nil {
		return 1
	}
	if len(results) > 0 {
		slots[0][0] = result
	}
	return 0
}
