package canister

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// compositeWAT has a composite query that asks its argument's method of itself
// and replies with the answer's code and how much of it there was.
var compositeWAT = fmt.Sprintf(`(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $argsize (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (data (i32.const 0) "%s")
  (table funcref (elem $on_reply $on_reject))
  (func $show (param i32) (i32.store (i32.const 104) (local.get 0)) (call $append (i32.const 100) (i32.const 8)) (call $reply))
  (func $on_reply (param i32) (call $show (call $argsize)))
  (func $on_reject (param i32)
    (if (i32.eqz (local.get 0)) (then (unreachable)))
    (call $show (call $code)))
  (func (export "canister_composite_query ask")
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1)))
    (call $argcopy (i32.const 200) (i32.const 0) (call $argsize))
    (call $new (i32.const 0) (i32.const 10) (i32.const 200) (call $argsize) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1))
    (if (call $perform) (then (call $show (i32.const 99)))))
  (func (export "canister_composite_query silent"))
  (func (export "canister_composite_query trap")
    (call $new (i32.const 0) (i32.const 10) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_query look") (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_query spin") (loop (br 0))))`, "\\00\\00\\00\\00\\00\\00\\00\\07\\01\\01")

func TestCompositeQuery(t *testing.T) {
	q := newQueue(t, wat(t, compositeWAT), allSetups()...)
	want(t, q.composite("ask", []byte("look")), Replied, numbers(1, 4))
	want(t, q.composite("ask", []byte("missing")), Replied, numbers(1, 5))
	want(t, q.composite("ask", []byte("spin")), OutOfFuel, "the limit of 20000000 units of fuel is used up")
	want(t, q.composite("silent", nil), NoReply, textNoReply)
	want(t, q.composite("trap", nil), Trapped, "unreachable")
	want(t, q.composite("look", nil), Replied, "\x00\x00\x00\x00")
	want(t, q.update("ask", nil), MethodNotFound, `the canister has no update or query method "ask"`)
	r := q.rigs[0]
	out, err := r.CompositeQuery(r.env(), r.State(), Message{"ask", nil}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, Replied, numbers(1, 99))
}

// TestCompositeQueriesTogether: more of them at a time than there are places
// for queries do not wait for each other for ever.
func TestCompositeQueriesTogether(t *testing.T) {
	r := install(t, plainSetup(), wat(t, compositeWAT))
	state, env := r.State(), r.env()
	var all sync.WaitGroup
	for range 4 * max(2, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			out, err := r.CompositeQuery(env, state, Message{"ask", []byte("look")}, func(c Call) (Outcome, error) {
				return r.Query(env, state, Message{c.Method, c.Arg})
			})
			if err != nil || string(out.Reply) != numbers(1, 4) {
				t.Errorf("%v, %v", out, err)
			}
		})
	}
	all.Wait()
}
