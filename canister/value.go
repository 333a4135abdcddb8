package canister

import (
	"fmt"
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// valueBits is a number as a word; 32-bit ones leave the upper half zero.
func valueBits(v wasmtime.Val) uint64 {
	switch v.Kind() {
	case wasmtime.KindI32:
		return uint64(uint32(v.I32()))
	case wasmtime.KindI64:
		return uint64(v.I64())
	case wasmtime.KindF32:
		return uint64(math.Float32bits(v.F32()))
	case wasmtime.KindF64:
		return math.Float64bits(v.F64())
	}
	panic(fmt.Sprintf("canister: value of kind %v in a host call", v.Kind()))
}

func valueOf(t program.ValType, bits uint64) wasmtime.Val {
	switch t {
	case program.I32:
		return wasmtime.ValI32(int32(bits))
	case program.I64:
		return wasmtime.ValI64(int64(bits))
	case program.F32:
		return wasmtime.ValF32(math.Float32frombits(uint32(bits)))
	case program.F64:
		return wasmtime.ValF64(math.Float64frombits(bits))
	}
	panic(fmt.Sprintf("canister: result of type %s from a host call", t))
}
