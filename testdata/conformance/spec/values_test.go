package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

var errExhausted = errors.New("call stack exhausted")

// perform carries out an action and gives the results as words: one for a
// number, two for a vector.
func (s *stage) perform(this *side, a action) ([]uint64, error) {
	if a.Type == "get" {
		return words(this.inst.GetExport(this.store, a.Field).Global().Get(this.store).Get()), nil
	}
	f := this.funcs[a.Field]
	if f == nil {
		if f = this.inst.GetFunc(this.store, a.Field); f == nil {
			s.t.Fatalf("line %d: no function %q", s.line, a.Field)
		}
		if t := f.Type(this.store); slices.ContainsFunc(t.Results(), isVector) || slices.ContainsFunc(t.Params(), isVector) {
			f = s.narrow(this.store, f)
		}
		this.funcs[a.Field] = f
	}
	var args []any
	for _, v := range a.Args {
		args = append(args, v.arguments()...)
	}
	result, err := f.Call(this.store, args...)
	if err != nil {
		return nil, translate(this, err)
	}
	list, ok := result.([]wasmtime.Val)
	if !ok {
		return words(result), nil
	}
	var out []uint64
	for _, v := range list {
		out = append(out, words(v.Get())...)
	}
	return out, nil
}

// translate gives the trap by which a prepared module ends a recursion the
// name that the engine's own has, and sets the depth back for the next call.
func translate(this *side, err error) error {
	depth := this.inst.GetExport(this.store, program.DepthExport)
	if depth == nil {
		return err
	}
	exhausted := uint32(depth.Global().Get(this.store).I32()) > stackUnits
	if setErr := depth.Global().Set(this.store, wasmtime.ValI32(0)); setErr != nil {
		return setErr
	}
	if exhausted && endOf(err) == "unreachable" {
		return errExhausted
	}
	return err
}

func isVector(t *wasmtime.ValType) bool { return typeName(t) == "v128" }

// typeName knows vectors, which the engine's binding has no name for.
func typeName(t *wasmtime.ValType) string {
	switch t.Kind() {
	case wasmtime.KindI32, wasmtime.KindI64, wasmtime.KindF32, wasmtime.KindF64, wasmtime.KindExternref, wasmtime.KindFuncref:
		return t.String()
	}
	return "v128"
}

// narrow wraps a function that takes or gives vectors in one that takes and
// gives two integers for each, as the engine's Go binding has no vectors.
func (s *stage) narrow(store *wasmtime.Store, f *wasmtime.Func) *wasmtime.Func {
	var params, results, push, pop strings.Builder
	wide, locals := "", 0
	for _, t := range f.Type(store).Params() {
		wide += " (param " + typeName(t) + ")"
		if !isVector(t) {
			params.WriteString(" " + typeName(t))
			fmt.Fprintf(&push, "local.get %d\n", locals)
			locals++
			continue
		}
		params.WriteString(" i64 i64")
		fmt.Fprintf(&push, "(i64x2.replace_lane 1 (i64x2.splat (local.get %d)) (local.get %d))\n", locals, locals+1)
		locals += 2
	}
	var types []string
	for _, t := range f.Type(store).Results() {
		wide += " (result " + typeName(t) + ")"
		types = append(types, typeName(t))
	}
	var declared strings.Builder
	for i, t := range types {
		fmt.Fprintf(&declared, "(local $r%d %s)", i, t)
		if t == "v128" {
			results.WriteString(" i64 i64")
			fmt.Fprintf(&pop, "(i64x2.extract_lane 0 (local.get $r%d)) (i64x2.extract_lane 1 (local.get $r%d))\n", i, i)
		} else {
			results.WriteString(" " + t)
			fmt.Fprintf(&pop, "(local.get $r%d)\n", i)
		}
	}
	set := ""
	for i := len(types) - 1; i >= 0; i-- {
		set += fmt.Sprintf("local.set $r%d\n", i)
	}
	text := fmt.Sprintf(`(module (import "" "" (func $f%s)) (func (export "f") (param%s) (result%s) %s %s call $f %s %s))`,
		wide, params.String(), results.String(), declared.String(), push.String(), set, pop.String())
	wasm, err := wasmtime.Wat2Wasm(text)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, text)
	}
	module, err := wasmtime.NewModule(s.engine, wasm)
	if err != nil {
		s.t.Fatal(err)
	}
	defer module.Close()
	inst, err := wasmtime.NewInstance(store, module, []wasmtime.AsExtern{f})
	if err != nil {
		s.t.Fatal(err)
	}
	return inst.GetFunc(store, "f")
}

// words are the bits of a result.
func words(v any) []uint64 {
	switch v := v.(type) {
	case int32:
		return []uint64{uint64(uint32(v))}
	case int64:
		return []uint64{uint64(v)}
	case float32:
		return []uint64{uint64(math.Float32bits(v))}
	case float64:
		return []uint64{math.Float64bits(v)}
	}
	return nil
}

func equalBits(a, b []uint64) bool { return slices.Equal(a, b) }

func hasReference(list []value) bool {
	return slices.ContainsFunc(list, func(v value) bool { return strings.HasSuffix(v.Type, "ref") })
}

// bits are a constant's words; a NaN stays text, as its bits are not given.
func (v value) lanes() []string {
	var one string
	var many []string
	if json.Unmarshal(v.Value, &one) == nil {
		return []string{one}
	}
	if err := json.Unmarshal(v.Value, &many); err != nil {
		panic(fmt.Sprintf("constant %s: %v", v.Value, err))
	}
	return many
}

func laneBits(kind string) int {
	n, err := strconv.Atoi(kind[1:])
	if err != nil {
		panic("lanes of type " + kind)
	}
	return n
}

func parseLane(text string) uint64 {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return uint64(n)
}

// arguments are what the engine's binding takes for a constant.
func (v value) arguments() []any {
	lanes := v.lanes()
	switch v.Type {
	case "i32":
		return []any{int32(parseLane(lanes[0]))}
	case "i64":
		return []any{int64(parseLane(lanes[0]))}
	case "f32":
		return []any{math.Float32frombits(uint32(parseLane(lanes[0])))}
	case "f64":
		return []any{math.Float64frombits(parseLane(lanes[0]))}
	}
	var pair [2]uint64
	size := laneBits(v.LaneType)
	for i, lane := range lanes {
		n := parseLane(lane)
		if size < 64 {
			n &= 1<<size - 1
		}
		pair[i*size/64] |= n << (i * size % 64)
	}
	return []any{int64(pair[0]), int64(pair[1])}
}

// isExpected compares results with constants, of which a NaN may be any of its kind.
func isExpected(got []uint64, want []value) bool {
	for _, v := range want {
		kind, count := v.Type, 1
		if v.Type == "v128" {
			kind, count = v.LaneType, 2
		}
		if len(got) < count {
			return false
		}
		size := laneBits(kind)
		for i, lane := range v.lanes() {
			bits := got[i*size/64] >> (i * size % 64)
			if size < 64 {
				bits &= 1<<size - 1
			}
			if !isLane(bits, lane, size) {
				return false
			}
		}
		got = got[count:]
	}
	return len(got) == 0
}

func isLane(bits uint64, want string, size int) bool {
	if strings.HasPrefix(want, "nan") {
		if size == 32 {
			return math.IsNaN(float64(math.Float32frombits(uint32(bits))))
		}
		return math.IsNaN(math.Float64frombits(bits))
	}
	n := parseLane(want)
	if size < 64 {
		n &= 1<<size - 1
	}
	return bits == n
}
