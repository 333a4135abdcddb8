package systemapi

import (
	"cmp"
	"fmt"
	"slices"

	"lockstep/canister/program"
)

// Func is one function that a canister may import.
type Func struct {
	Module, Name string
	Type         program.FuncType
	Allowed      Occasion // elsewhere a call traps

	// call gets the parameters as bits, one word each, and returns the result
	// likewise. An error is a Trap or the world failing.
	call func(h *Host, args []uint64) (uint64, error)
}

// row is a function as the tables of this package write it. The type has one
// letter a value: i is i32, I is i64, f is f32, F is f64, and p is an address
// or size, as wide as the module's memory; "ppI:i" takes two sizes and an i64
// and gives an i32.
type row struct {
	name, typ string
	allowed   Occasion
	call      func(h *Host, args []uint64) (uint64, error)
}

// Trap stops an execution with a text that every replica gives alike.
type Trap string

func (t Trap) Error() string { return string(t) }

func trapf(format string, args ...any) error { return Trap(fmt.Sprintf(format, args...)) }

// ErrOutOfFuel is given by host functions whose work the remaining fuel does
// not pay for.
const ErrOutOfFuel = Trap("out of fuel")

// MaxParams bounds the parameters of a host function.
const MaxParams = 16

// The functions for modules with a 32-bit memory or none, and with a 64-bit
// one. WASI and the language's own imports exist for 32 bits only.
var (
	narrow = newTable(false, map[string][]row{"ic0": slices.Concat(ic0Funcs, ic0NarrowFuncs), wasiModule: wasiFuncs, envModule: envFuncs})
	wide   = newTable(true, map[string][]row{"ic0": ic0Funcs})
)

type importName struct{ module, name string }

type table struct {
	funcs []*Func
	index map[importName]*Func
}

func newTable(wide bool, modules map[string][]row) table {
	t := table{index: make(map[importName]*Func)}
	for module, rows := range modules {
		for _, r := range rows {
			f := &Func{module, r.name, signature(r.typ, wide), r.allowed, r.call}
			key := importName{module, r.name}
			if t.index[key] != nil {
				panic(fmt.Sprintf("systemapi: %s.%s is defined twice", module, r.name))
			}
			t.index[key] = f
			t.funcs = append(t.funcs, f)
		}
	}
	slices.SortFunc(t.funcs, func(a, b *Func) int {
		return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Name, b.Name))
	})
	return t
}

func tableOf(isWide bool) *table {
	if isWide {
		return &wide
	}
	return &narrow
}

// Funcs lists every function for modules with a 64-bit memory (wide) or the
// others, in a fixed order. The slice must not be changed.
func Funcs(wide bool) []*Func { return tableOf(wide).funcs }

// ImportType is the type of a function, false if there is none.
func ImportType(module, name string, wide bool) (program.FuncType, bool) {
	f := tableOf(wide).index[importName{module, name}]
	if f == nil {
		return program.FuncType{}, false
	}
	return f.Type, true
}

// ImportWaits names the functions that move the clock.
func ImportWaits(module, name string) bool { return module == wasiModule && name == "poll_oneoff" }

func signature(s string, wide bool) (t program.FuncType) {
	letters := map[rune]program.ValType{'i': program.I32, 'I': program.I64, 'f': program.F32, 'F': program.F64, 'p': program.I32}
	if wide {
		letters['p'] = program.I64
	}
	list := &t.Params
	for _, c := range s {
		if c == ':' {
			list = &t.Results
			continue
		}
		v, ok := letters[c]
		if !ok {
			panic(fmt.Sprintf("systemapi: signature %q", s))
		}
		*list = append(*list, v)
	}
	return t
}
