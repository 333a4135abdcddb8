package program

import (
	"fmt"
	"slices"
	"strings"
)

// ValType is a WebAssembly value type in its binary encoding.
type ValType byte

// The value types a canister may use.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type %#x", byte(t))
}

func (t ValType) isRef() bool { return t == FuncRef || t == ExternRef }

// FuncType is the type of a function.
type FuncType struct {
	Params  []ValType
	Results []ValType
}

// Equal tells whether both take and give the same types.
func (t FuncType) Equal(u FuncType) bool {
	return slices.Equal(t.Params, u.Params) && slices.Equal(t.Results, u.Results)
}

// String is the type as the specification writes it: (i32 i32) -> (i64).
func (t FuncType) String() string {
	list := func(types []ValType) string {
		names := make([]string, len(types))
		for i, v := range types {
			names[i] = v.String()
		}
		return "(" + strings.Join(names, " ") + ")"
	}
	return list(t.Params) + " -> " + list(t.Results)
}

func (r *reader) valType() ValType {
	at := r.pos
	t := ValType(r.u8())
	switch t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
	case 0x63, 0x64:
		r.failAt(at, "typed function references and garbage collection are not supported: build for linear memory")
	case 0x65, 0x66, 0x67, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73, 0x78, 0x77:
		r.failAt(at, "garbage collection types are not supported: build for linear memory")
	case 0x68, 0x69, 0x74, 0x75:
		r.failAt(at, "exception and continuation types are not supported: build without them")
	default:
		r.failAt(at, "unknown value type %#x", byte(t))
	}
	return t
}

func (r *reader) refType() ValType {
	at := r.pos
	t := r.valType()
	if r.err == nil && !t.isRef() {
		r.failAt(at, "%s is not a reference type", t)
	}
	return t
}

func (r *reader) valTypes(what string, limit int) []ValType {
	n := r.count(what, limit)
	types := make([]ValType, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		types = append(types, r.valType())
	}
	return types
}

func (r *reader) funcType() FuncType {
	at := r.pos
	switch form := r.u8(); form {
	case 0x60:
	case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
		r.failAt(at, "garbage collection types are not supported: build for linear memory")
	default:
		r.failAt(at, "unknown form of type %#x", form)
	}
	return FuncType{
		Params:  r.valTypes("parameters", maxParams),
		Results: r.valTypes("results", maxParams),
	}
}
