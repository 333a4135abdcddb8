package canister

import (
	"fmt"

	"lockstep/canister/program"
)

// occasion is the kind of execution a host function is called from.
type occasion uint8

const (
	inStart           occasion = 1 << iota // start function
	inInit                                 // _initialize and canister_init
	inUpdate                               // update method
	inReplicatedQuery                      // query method called as an update
	inQuery                                // query method

	inMethod   = inUpdate | inReplicatedQuery | inQuery
	notInStart = inInit | inMethod
	always     = inStart | notInStart
)

func (o occasion) String() string {
	switch o {
	case inStart:
		return "the start function"
	case inInit:
		return "canister_init"
	case inUpdate:
		return "an update"
	}
	return "a query"
}

// hostFunc is one function that a canister may import: a row of the tables
// from which imports are checked and linked.
type hostFunc struct {
	module, name string
	typ          program.FuncType
	allowed      occasion // elsewhere a call traps

	// call gets the parameters as bits, one word each, and returns the result
	// likewise. An error is a canisterTrap, errOutOfFuel or the world failing.
	call func(h *host, args []uint64) (uint64, error)
}

// canisterTrap stops the message with a text that every replica gives alike.
type canisterTrap string

func (t canisterTrap) Error() string { return string(t) }

func trapf(format string, args ...any) error { return canisterTrap(fmt.Sprintf(format, args...)) }

// errOutOfFuel is returned by host functions whose work the remaining fuel
// does not pay for.
const errOutOfFuel = canisterTrap("out of fuel")

// maxHostParams bounds the parameters of a host function.
const maxHostParams = 16

// hostTable is every function there is, by module and name.
var hostTable = indexHostFuncs(ic0Funcs, wasiFuncs, envFuncs)

type importName struct{ module, name string }

func indexHostFuncs(tables ...[]hostFunc) map[importName]*hostFunc {
	index := make(map[importName]*hostFunc)
	for _, table := range tables {
		for i := range table {
			f := &table[i]
			key := importName{f.module, f.name}
			if index[key] != nil {
				panic(fmt.Sprintf("canister: host function %s.%s is defined twice", f.module, f.name))
			}
			index[key] = f
		}
	}
	return index
}

// importType is how preparation asks the table.
func importType(module, name string) (program.FuncType, bool) {
	f := hostTable[importName{module, name}]
	if f == nil {
		return program.FuncType{}, false
	}
	return f.typ, true
}

// importWaits names the functions that move the clock.
func importWaits(module, name string) bool { return module == wasiModule && name == "poll_oneoff" }

// signature reads a type written as one letter a value: i is i32, I is i64,
// f is f32, F is f64; "iiI:i" takes two i32 and an i64 and gives an i32.
func signature(s string) (t program.FuncType) {
	letters := map[rune]program.ValType{'i': program.I32, 'I': program.I64, 'f': program.F32, 'F': program.F64}
	list := &t.Params
	for _, c := range s {
		if c == ':' {
			list = &t.Results
			continue
		}
		v, ok := letters[c]
		if !ok {
			panic(fmt.Sprintf("canister: signature %q", s))
		}
		*list = append(*list, v)
	}
	return t
}
