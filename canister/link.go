package canister

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// newLinker defines every host function for all instances of an engine. Each
// finds its host in the store that it is called from.
func newLinker(engine *wasmtime.Engine) (*wasmtime.Linker, error) {
	linker := wasmtime.NewLinker(engine)
	for _, f := range sortedHostFuncs() {
		if err := linker.FuncNew(f.module, f.name, engineType(f.typ), stockHostCall(f)); err != nil {
			linker.Close()
			return nil, fmt.Errorf("define host function %s.%s: %w", f.module, f.name, err)
		}
	}
	return linker, nil
}

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

// stockHostCall is a host function as the engine's Go binding wants it.
func stockHostCall(f *hostFunc) func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
	return func(c *wasmtime.Caller, vals []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
		h := c.Data().(*host)
		var words [16]uint64
		args := words[:len(vals)]
		for i, v := range vals {
			args[i] = valueBits(v)
		}
		result, err := h.dispatch(f, args)
		if err != nil {
			h.stopped = err
			return nil, wasmtime.NewTrap("stopped by the host")
		}
		if len(f.typ.Results) == 0 {
			return nil, nil
		}
		return []wasmtime.Val{valueOf(f.typ.Results[0], result)}, nil
	}
}
