package canister

/*
#include <stddef.h>
#include <stdint.h>

// What the Go binding of the engine does not give, declared as in the headers
// of wasmtime 39 (wasmtime/extern.h, wasmtime/val.h, wasmtime/global.h). The
// binding links the library.
typedef struct { uint64_t store; uint32_t a, b, c; } lockstep_global;
typedef struct { uint64_t lo, hi, rest; } lockstep_bits;
typedef struct { uint8_t kind; lockstep_bits of; } lockstep_val;

extern void wasmtime_global_get(void *ctx, const lockstep_global *g, lockstep_val *out);
extern void *wasmtime_global_set(void *ctx, const lockstep_global *g, const lockstep_val *val);

static void lockstep_globals_get(void *ctx, const lockstep_global *g, lockstep_val *out, size_t n) {
	for (size_t i = 0; i < n; i++) {
		out[i].of.lo = out[i].of.hi = 0;
		wasmtime_global_get(ctx, &g[i], &out[i]);
	}
}

// Gives the index of the first global that the engine refuses to set, or n.
static size_t lockstep_globals_set(void *ctx, const lockstep_global *g, const lockstep_val *val, size_t n) {
	for (size_t i = 0; i < n; i++)
		if (wasmtime_global_set(ctx, &g[i], &val[i]))
			return i;
	return n;
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// globalSet reaches the mutable globals of one instance.
type globalSet struct {
	store  *wasmtime.Store
	kinds  []program.ValType
	refs   []C.lockstep_global
	values []C.lockstep_val
}

// Kinds of values in the engine's C interface (wasmtime/val.h).
var globalKinds = map[program.ValType]C.uint8_t{
	program.I32: 0, program.I64: 1, program.F32: 2, program.F64: 3, program.V128: 4,
}

// newGlobalSet keeps references to globals, which belong to the store.
func newGlobalSet(store *wasmtime.Store, globals []*wasmtime.Global, kinds []program.ValType) *globalSet {
	s := &globalSet{store: store, kinds: kinds}
	s.refs = make([]C.lockstep_global, len(globals))
	s.values = make([]C.lockstep_val, len(globals))
	for i, g := range globals {
		s.refs[i] = *(*C.lockstep_global)(unsafe.Pointer(g)) // the binding's Global is this struct and nothing else
	}
	return s
}

// read gives the values now.
func (s *globalSet) read() []Global {
	if len(s.refs) == 0 {
		return nil
	}
	C.lockstep_globals_get(unsafe.Pointer(s.store.Context()), &s.refs[0], &s.values[0], C.size_t(len(s.refs)))
	out := make([]Global, len(s.refs))
	for i, k := range s.kinds {
		out[i] = Global{Type: byte(k), Lo: uint64(s.values[i].of.lo), Hi: uint64(s.values[i].of.hi)}
		switch k {
		case program.I32, program.F32:
			out[i].Lo, out[i].Hi = out[i].Lo&0xffffffff, 0
		case program.I64, program.F64:
			out[i].Hi = 0
		}
	}
	return out
}

// write sets every global. Preconditions: values has the globals' types.
func (s *globalSet) write(values []Global) error {
	if len(s.refs) == 0 {
		return nil
	}
	for i, v := range values {
		s.values[i].kind = globalKinds[s.kinds[i]]
		s.values[i].of.lo, s.values[i].of.hi = C.uint64_t(v.Lo), C.uint64_t(v.Hi)
	}
	n := C.lockstep_globals_set(unsafe.Pointer(s.store.Context()), &s.refs[0], &s.values[0], C.size_t(len(s.refs)))
	if int(n) != len(s.refs) {
		return fmt.Errorf("the engine refuses to set global %d of %d", int(n), len(s.refs))
	}
	return nil
}
