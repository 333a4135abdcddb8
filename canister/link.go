//go:build cgo

package canister

import (
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// newLinker defines every host function for all instances of an engine whose
// modules have a 64-bit memory, or of the others. Each call finds the host it
// belongs to by its path.
func newLinker(engine *wasmtime.Engine, path CallPath, wide bool) (*wasmtime.Linker, error) {
	linker := wasmtime.NewLinker(engine)
	for i, f := range systemapi.Funcs(wide) {
		var err error
		if path == CallStock {
			err = linker.FuncNew(f.Module, f.Name, engineType(f.Type), stockHostCall(f))
		} else {
			err = thinDefine(linker, wide, i)
		}
		if err != nil {
			linker.Close()
			return nil, fmt.Errorf("define host function %s.%s: %w", f.Module, f.Name, err)
		}
	}
	return linker, nil
}

func engineType(t program.FuncType) *wasmtime.FuncType {
	list := func(types []program.ValType) []*wasmtime.ValType {
		var out []*wasmtime.ValType
		for _, v := range types {
			out = append(out, wasmtime.NewValType(engineKinds[v]))
		}
		return out
	}
	return wasmtime.NewFuncType(list(t.Params), list(t.Results))
}

var engineKinds = map[program.ValType]wasmtime.ValKind{
	program.I32: wasmtime.KindI32, program.I64: wasmtime.KindI64,
	program.F32: wasmtime.KindF32, program.F64: wasmtime.KindF64,
}
