package canister

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// behaviours are functions f: (i32) -> (i32) whose control flow preparation
// touches. Each must do the same prepared as not.
var behaviours = []string{
	`(func $f (param i32) (result i32) (return (call $id (local.get 0))))`,
	`(func $f (param i32) (result i32) (block (br_if 0 (call $id (local.get 0))) (return (i32.const 5))) (i32.const 6))`,
	`(func $f (param i32) (result i32) (br_table 0 0 (call $id (i32.const 9)) (local.get 0)))`,
	`(func $f (param i32) (result i32)
	   (block (block (block (br_table 0 1 2 (local.get 0))) (drop (call $id (i32.const 1))) (return (i32.const 10)))
	     (return (i32.const 11))) (i32.const 12))`,
	`(func $f (param i32) (result i32) (loop (result i32)
	   (if (i32.gt_s (local.get 0) (i32.const 100)) (then (return (call $id (local.get 0)))))
	   (local.set 0 (i32.add (local.get 0) (i32.const 7))) (br 0)))`,
	`(func $f (param i32) (result i32) (return_call $id (local.get 0)))`,
	`(table 2 funcref) (elem (i32.const 0) $id $twice) (type $u (func (param i32) (result i32)))
	 (func $f (param i32) (result i32) (return_call_indirect (type $u) (local.get 0) (i32.and (local.get 0) (i32.const 1))))`,
	`(func $even (param i32) (result i32) (if (result i32) (local.get 0)
	   (then (return_call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
	 (func $f (param i32) (result i32) (if (result i32) (local.tee 0 (i32.and (local.get 0) (i32.const 4095)))
	   (then (return_call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))`,
	`(func $pair (param i32) (result i32 i64) (if (i32.gt_u (local.get 0) (i32.const 3))
	     (then (return (call $id (local.get 0)) (i64.const 2)))) (i32.const 1) (i64.const 40))
	 (func $f (param i32) (result i32) (call $pair (local.get 0)) (i32.wrap_i64) (i32.add))`,
	`(type $b (func (param i32) (result i32 i32)))
	 (func $f (param i32) (result i32) (local.get 0) (block (type $b) (call $id) (local.get 0)) (i32.mul))`,
	`(func $f (param i32) (result i32) (call $id (local.get 0)) (unreachable))`,
	`(func $f (param i32) (result i32) (i32.div_s (call $id (i32.const 8)) (i32.sub (local.get 0) (i32.const 1))))`,
	`(func $f (param i32) (result i32) (memory.grow (local.get 0)))`,
	`(func $f (param i32) (result i32) (drop (memory.grow (i32.const 1))) (memory.fill (i32.const 65536) (local.get 0) (i32.const 65536))
	   (memory.copy (i32.const 0) (i32.const 131000) (i32.const 72)) (i32.load (i32.const 68)))`,
	`(func $f (param i32) (result i32) (memory.fill (i32.const 65535) (i32.const 1) (local.get 0)) (i32.load8_u (i32.const 65535)))`,
	`(data $d "abcdefgh") (func $f (param i32) (result i32)
	   (memory.init $d (i32.const 16) (local.get 0) (i32.const 4)) (i32.load (i32.const 16)))`,
	`(func $f (param $n i32) (result i32) (local $v v128)
	   (local.set $v (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (i32x4.splat (call $id (local.get $n))) (v128.const i32x4 1 2 3 4)))
	   (i32x4.extract_lane 3 (v128.bitselect (local.get $v) (i32x4.replace_lane 2 (local.get $v) (i32.const 7)) (i64x2.neg (local.get $v)))))`,
	`(func $f (param i32) (result i32) (i32.trunc_sat_f64_s (f64.div (f64.convert_i32_s (call $id (local.get 0))) (f64.const 0))))`,
	`(func $f (param i32) (result i32) (select (result i32) (call $id (i32.const 3)) (table.size 0) (ref.is_null (table.get 0 (i32.const 0)))))
	 (table 2 funcref)`,
}

// TestPreparedBehavesAlike runs each function as written and as prepared.
func TestPreparedBehavesAlike(t *testing.T) {
	e := testEngine(t, allEngines[0])
	for i, code := range behaviours {
		wasm := wat(t, `(module (memory 1 3) (func $id (param i32) (result i32) (local.get 0))
		  (func $twice (param i32) (result i32) (i32.add (local.get 0) (call $id (local.get 0))))`+code+`(export "f" (func $f)))`)
		p, err := Prepare(wasm, DefaultLimits())
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if strings.Contains(code, "call") && string(p.Wasm) == string(wasm) {
			t.Errorf("%d: not rewritten", i)
		}
		for _, arg := range []int32{0, 1, 2, 3, 4, 7, 100, -1, 70000} {
			if got, want := runPlain(t, e, p.Wasm, arg), runPlain(t, e, wasm, arg); got != want {
				t.Errorf("%d: f(%d) = %s, want %s", i, arg, got, want)
			}
		}
	}
}

// runPlain calls f of a module without imports and tells the result or trap.
func runPlain(t *testing.T, e *Engine, wasm []byte, arg int32) string {
	t.Helper()
	m, err := wasmtime.NewModule(e.engine, wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	store := wasmtime.NewStore(e.engine)
	defer store.Close()
	if err := store.SetFuel(1 << 40); err != nil {
		t.Fatal(err)
	}
	in, err := wasmtime.NewInstance(store, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := in.GetFunc(store, "f").Call(store, arg)
	if trap, ok := errors.AsType[*wasmtime.Trap](err); ok {
		return fmt.Sprintf("trap %d", *trap.Code())
	}
	return fmt.Sprint(v, err)
}

// FuzzValid: what is valid stays valid. Modules made by mutation are mostly
// refused; the seeds reach every rewriting.
func FuzzValid(f *testing.F) {
	for _, text := range []string{counterWAT, scribbleWAT, probe("")} {
		f.Add(wat(f, text))
	}
	for _, code := range behaviours {
		f.Add(wat(f, `(module (memory 1 3) (func $id (param i32) (result i32) (local.get 0))
		  (func $twice (param i32) (result i32) (i32.add (local.get 0) (call $id (local.get 0))))`+code+`(export "f" (func $f)))`))
	}
	for _, r := range recursions {
		f.Add(wat(f, "(module "+imports()+"(memory 1)"+r.code+")"))
	}
	e := testEngine(f, allEngines[0])
	f.Fuzz(func(t *testing.T, wasm []byte) {
		p, err := Prepare(wasm, DefaultLimits())
		if err != nil {
			return
		}
		was, is := wasmtime.ModuleValidate(e.engine, wasm), wasmtime.ModuleValidate(e.engine, p.Wasm)
		if was == nil && is != nil {
			t.Fatalf("valid before, but now: %v", is)
		}
		if m, err := e.Compile(p); was != nil && err == nil {
			t.Fatalf("compiled as %v although it is not valid: %v", m.Program.Hash, was)
		}
	})
}

// TestEngineRefuses: what preparation leaves to the engine is a refusal, too.
func TestEngineRefuses(t *testing.T) {
	wasm := wat(t, `(module (func (export "canister_update m") (result)))`)
	body := strings.LastIndex(string(wasm), "\x02\x00\x0b") // size, no locals, end
	broken := []byte(string(wasm[:body]) + "\x02\x00\x0b")
	broken[len(broken)-3], broken = 3, append(broken[:len(broken)-1], 0x1a, 0x0b) // drop of nothing
	broken[body-2]++
	p, err := Prepare(broken, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	_, err = testEngine(t, allEngines[0]).Compile(p)
	if _, ok := errors.AsType[*program.Refusal](err); !ok || !strings.Contains(err.Error(), "the engine finds it invalid") {
		t.Errorf("got %v", err)
	}
}
