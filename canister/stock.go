//go:build cgo

package canister

import (
	"errors"
	"fmt"
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// stockCall runs calls through the engine's Go binding. It is the reference
// that the thin path must equal.
type stockCall struct {
	store *wasmtime.Store
	mem   *wasmtime.Memory // nil for none
	host  *systemapi.Host
}

func (c *stockCall) call(f *wasmtime.Func, args []uint64, fuel uint64) (callEnd, error) {
	if err := c.store.SetFuel(fuel); err != nil {
		return callEnd{}, fmt.Errorf("set fuel: %w", err)
	}
	var params []any
	for _, a := range args {
		params = append(params, int64(a))
	}
	_, callErr := f.Call(c.store, params...)
	left, err := c.store.GetFuel()
	if err != nil {
		return callEnd{}, fmt.Errorf("read fuel: %w", err)
	}
	switch {
	case callErr == nil:
		return callEnd{kind: callReturned, left: left}, nil
	case c.host.Stopped() != nil:
		return callEnd{kind: callStopped, left: left}, nil
	}
	trap, ok := errors.AsType[*wasmtime.Trap](callErr)
	if !ok || trap.Code() == nil {
		return callEnd{}, callErr
	}
	return callEnd{kind: callTrapped, trap: trapCode(*trap.Code()), left: left}, nil
}

func (c *stockCall) size() uint64 {
	if c.mem == nil {
		return 0
	}
	return uint64(c.mem.DataSize(c.store))
}

func (c *stockCall) resized()               {}
func (c *stockCall) fuel() (uint64, error)  { return c.store.GetFuel() }
func (c *stockCall) setFuel(f uint64) error { return c.store.SetFuel(f) }
func (c *stockCall) close()                 {}

// stockHostCall is a host function as the engine's Go binding wants it.
func stockHostCall(f *systemapi.Func) func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
	return func(c *wasmtime.Caller, vals []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
		h := c.Data().(*systemapi.Host)
		var words [systemapi.MaxParams]uint64
		args := words[:len(vals)]
		for i, v := range vals {
			args[i] = valueBits(v)
		}
		result, err := h.Dispatch(f, args)
		if err != nil {
			return nil, wasmtime.NewTrap("stopped by the host")
		}
		if len(f.Type.Results) == 0 {
			return nil, nil
		}
		return []wasmtime.Val{valueOf(f.Type.Results[0], result)}, nil
	}
}

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
