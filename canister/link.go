package canister

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// newLinker defines every host function for all instances of an engine. Each
// call finds the host it belongs to by its path.
func newLinker(engine *wasmtime.Engine, path CallPath) (*wasmtime.Linker, error) {
	linker := wasmtime.NewLinker(engine)
	for i, f := range hostFuncs {
		var err error
		if path == CallStock {
			err = linker.FuncNew(f.module, f.name, engineType(f.typ), stockHostCall(f))
		} else {
			err = thinDefine(linker, i)
		}
		if err != nil {
			linker.Close()
			return nil, fmt.Errorf("define host function %s.%s: %w", f.module, f.name, err)
		}
	}
	return linker, nil
}

// hostFuncs lists the table in a fixed order.
var hostFuncs = sortedHostFuncs()

func sortedHostFuncs() []*hostFunc {
	var funcs []*hostFunc
	for _, f := range hostTable {
		funcs = append(funcs, f)
	}
	slices.SortFunc(funcs, func(a, b *hostFunc) int {
		return cmp.Or(cmp.Compare(a.module, b.module), cmp.Compare(a.name, b.name))
	})
	return funcs
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
