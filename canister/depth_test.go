package canister

import (
	"fmt"
	"strings"
	"testing"
)

// recursions are functions $f that call themselves for ever, in shapes that
// make frames large on the native stack where the code is small, or that the
// compiler may treat very differently at its different levels.
var recursions = []struct{ name, code string }{
	{"plain", `(func $f (call $f))`},
	{"parameter", `(func $f0 (param i32) (result i32) (i32.add (call $f0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
		(func $f (drop (call $f0 (i32.const 0))))`},
	{"mutual", `(func $a (call $f)) (func $f (call $a) (call $a))`},
	{"indirect", `(table funcref (elem $f)) (type $t (func)) (func $f (call_indirect (type $t) (i32.const 0)) (call_indirect (type $t) (i32.const 0)))`},
	{"tail then call", `(func $a (return_call $f)) (func $f (call $a) (call $a))`},
	{"many locals", manyLocals("i64", "i64.add", 300)},
	{"many vectors", manyLocals("v128", "i64x2.add", 300)},
	{"many parameters", manyParameters(200)},
	{"many results", manyResults(100)},
	{"hoisted", hoisted("i64", "i64.const %d", "i64.mul", "i64.add", 400)},
	{"hoisted vectors", hoisted("v128", "v128.const i64x2 %d 7", "i64x2.mul", "i64x2.add", 400)},
	{"chained", chained("i64", "i64.popcnt", "i64.add", "i64.const 0", 400)},
	{"chained vectors", chained("v128", "i64x2.abs", "i64x2.add", "v128.const i64x2 0 0", 400)},
	{"deep operands", `(func $g (param i64) (result i64) (call $f) (local.get 0)) (func $f ` +
		strings.Repeat(`(i64.add (call $g (i64.const 1)) `, 200) + `(i64.const 0)` + strings.Repeat(")", 200) + ` drop)`},
	{"through the host", `(func $f (call $msg_arg_data_copy (i32.const 0) (i32.const 0) (i32.const 0)) (call $f) (call $f))`},
}

// manyLocals keeps values alive across the call by using them after it.
func manyLocals(typ, add string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(func $h (result %s) (local %s) (local.get 0))\n(func $f (local%s)\n", typ, typ, strings.Repeat(" "+typ, n))
	for i := range n {
		fmt.Fprintf(&b, "(local.set %d (call $h))", i)
	}
	b.WriteString("(call $f)")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "(local.set 0 (%s (local.get 0) (local.get %d)))", add, i)
	}
	b.WriteString(`(if (i32.eqz (memory.size)) (then (drop (local.get 0)))))`)
	return b.String()
}

func manyParameters(n int) string {
	gets := ""
	for i := range n {
		gets += fmt.Sprintf("(local.get %d)", (i+1)%n)
	}
	return fmt.Sprintf("(func $p (param%s) (call $p %s) (call $p %s)) (func $f (call $p %s))",
		strings.Repeat(" i64", n), gets, gets, strings.Repeat("(i64.const 1)", n))
}

func manyResults(n int) string {
	return fmt.Sprintf("(func $r (result%s) (call $r) %s (call $r)) (func $f (call $r) %s)",
		strings.Repeat(" i64", n), strings.Repeat("drop ", n), strings.Repeat("drop ", n))
}

// hoisted computes many values of its parameter in a loop around the call;
// an optimising compiler computes them once, before it, and must keep them.
func hoisted(typ, constant, mul, add string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(global $sum (mut %s) (%s))\n", typ, constantOf(constant, 0))
	fmt.Fprintf(&b, "(func $h (param %s) (result %s) (loop", typ, typ)
	fmt.Fprintf(&b, "(drop (call $h (local.get 0)))")
	for i := range n {
		fmt.Fprintf(&b, "(global.set $sum (%s (global.get $sum) (%s (local.get 0) (%s))))", add, mul, constantOf(constant, 3*i+5))
	}
	fmt.Fprintf(&b, "(br 0)) unreachable)\n(func $f (drop (call $h (global.get $sum))))")
	return b.String()
}

// chained hoists the most values an instruction: each is made of the last one
// by one operation, and all are summed up after the call.
func chained(typ, op, add, zero string, n int) string {
	step := fmt.Sprintf("(local.tee 1 (%s (local.get 1))) %s ", op, add)
	return fmt.Sprintf(`(global $sum (mut %s) (%s))
	  (func $h (param %s) (result %s) (local %s) (loop
	    (drop (call $h (local.get 0)))
	    (local.set 1 (local.get 0)) (global.get $sum) %s (global.set $sum) (br 0)) unreachable)
	  (func $f (drop (call $h (global.get $sum))))`, typ, zero, typ, typ, typ, strings.Repeat(step, n))
}

func constantOf(format string, v int) string {
	if strings.Contains(format, "%d") {
		return fmt.Sprintf(format, v)
	}
	return format
}

// TestStackDepth: recursion without end stops as a trap of the canister, after
// the same fuel, at the same depth, at every level of optimisation. Depth is
// told by a counter that the failing update writes to the log.
func TestStackDepth(t *testing.T) {
	for _, c := range recursions {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			wasm := wat(t, "(module "+imports()+"(memory 1)"+c.code+`(export "canister_update f" (func $f))
			  (func (export "canister_update ok") (call $msg_reply)))`)
			var first Outcome
			for _, engine := range allEngines {
				s := plainSetup()
				s.engine = engine
				s.limits.Fuel = 200_000_000
				r := install(t, s, wasm)
				out := r.update("f", "")
				want(t, out, Trapped, textStackExhausted)
				if first.Status == 0 {
					first = out
				}
				if out.String() != first.String() {
					t.Errorf("%+v: %v, want %v", engine, out, first)
				}
				want(t, r.update("ok", ""), Replied, "") // depth starts again at 0
				want(t, r.update("f", ""), Trapped, textStackExhausted)
			}
		})
	}
}

// TestTailCallsForEver: a tail call gives its weight back.
func TestTailCallsForEver(t *testing.T) {
	r := install(t, plainSetup(), wat(t, `(module (type $t (func)) (table funcref (elem $b))
	  (func $a (return_call_indirect (type $t) (i32.const 0)))
	  (func $b (return_call $a))
	  (export "canister_update f" (func $a)))`))
	want(t, r.update("f", ""), OutOfFuel, "the limit of 20000000 units of fuel is used up")
}

// TestDepthComesBack: after a thousand calls that returned in every way there
// is, as deep a recursion is possible as before.
func TestDepthComesBack(t *testing.T) {
	s := plainSetup()
	s.limits.StackUnits = 3000
	r := install(t, s, wat(t, `(module (import "ic0" "msg_reply" (func $reply))
	  (global $n (mut i32) (i32.const 0))
	  (func $nop (call $leaf))
	  (func $leaf)
	  (func $fall (result i32) (call $nop) (i32.const 1))
	  (func $early (result i32) (block (loop (call $nop) (return (i32.const 1)))) (i32.const 2))
	  (func $branch (result i32) (call $nop) (br 0 (i32.const 1)))
	  (func $table (result i32) (call $nop) (br_table 0 0 (i32.const 7) (i32.const 1)))
	  (func $tail (result i32) (return_call $fall))
	  (func $two (result i32 i32) (call $nop) (return (i32.const 1) (i32.const 2)))
	  (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
	  (func (export "canister_update f") (local i32)
	    (local.set 0 (i32.const 1000))
	    (loop
	      (drop (call $fall)) (drop (call $early)) (drop (call $branch)) (drop (call $table)) (drop (call $tail))
	      (call $two) (drop) (drop)
	      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
	    (call $deep (i32.const 140)) (call $reply))
	  (func (export "canister_update toodeep") (call $deep (i32.const 200)) (call $reply)))`))
	want(t, r.update("toodeep", ""), Trapped, textStackExhausted)
	want(t, r.update("f", ""), Replied, "")
	want(t, r.update("toodeep", ""), Trapped, textStackExhausted)
}
