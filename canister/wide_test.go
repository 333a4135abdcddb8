package canister

import (
	"fmt"
	"testing"
)

// TestWideGrow: memory.grow of a 64-bit memory, up to its limit and far beyond
// it, and what bulk instructions cost and where they trap.
func TestWideGrow(t *testing.T) {
	r := install(t, plainSetup(), wat(t, `(module
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
	  (import "ic0" "msg_arg_data_copy" (func $arg (param i64 i64 i64)))
	  (memory i64 1) (data (i64.const 64) "active") (data $passive "passive")
	  (func $ok (call $append (i64.const 0) (i64.const 8)) (call $reply))
	  (func (export "canister_update grow")
	    (call $arg (i64.const 8) (i64.const 0) (i64.const 8))
	    (i64.store (i64.const 0) (memory.grow (i64.load (i64.const 8)))) (call $ok))
	  (func (export "canister_update fill")
	    (call $arg (i64.const 8) (i64.const 0) (i64.const 8))
	    (memory.fill (i64.const 4096) (i32.const 1) (i64.load (i64.const 8))) (call $ok))
	  (func (export "canister_update init")
	    (memory.init $passive (i64.const 0) (i32.const 0) (i32.const 7)) (memory.copy (i64.const 7) (i64.const 64) (i64.const 1)) (call $ok)))`))
	grow := func(n uint64) Outcome { return r.update("grow", string(stableOp(n, 0, 0, ""))) }
	minusOne := string(stableOp(^uint64(0), 0, 0, "")[:8])
	want(t, grow(0), Replied, string(stableOp(1, 0, 0, "")[:8]))
	for _, n := range []uint64{1024, 1 << 16, 1 << 48, 1<<63 - 1, 1 << 63, ^uint64(0)} {
		want(t, grow(n), Replied, minusOne)
	}
	want(t, grow(1023), Replied, string(stableOp(1, 0, 0, "")[:8]))
	want(t, grow(1), Replied, minusOne)
	want(t, grow(^uint64(0)), Replied, minusOne)
	want(t, r.update("init", ""), Replied, "passivea")
	little, much := r.update("fill", string(stableOp(100, 0, 0, ""))), r.update("fill", string(stableOp(1_000_000, 0, 0, "")))
	if much.Fuel < little.Fuel+1_000_000/128*5 {
		t.Errorf("fuel %d, then %d", little.Fuel, much.Fuel)
	}
	for _, n := range []uint64{64 << 20, 1 << 33, 1 << 40, ^uint64(0)} {
		want(t, r.update("fill", string(stableOp(n, 0, 0, ""))), Trapped, "out of bounds memory access")
	}
}

// callbackWAT has callbacks of a 32-bit or 64-bit table and memory.
func callbackWAT(memory, table, address string) string {
	return fmt.Sprintf(`(module
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param %[3]s %[3]s)))
	  (import "ic0" "msg_reject_code" (func $code (result i32)))
	  (memory %[1]s 1) (table %[2]s 5 funcref) (elem (%[4]s.const 0) $env $code_ $none $wrong)
	  (func $env (param %[3]s) (%[3]s.store (%[3]s.const 0) (local.get 0)) (call $append (%[3]s.const 0) (%[3]s.const 8)) (call $reply))
	  (func $code_ (param %[3]s) (i32.store (%[3]s.const 0) (call $code)) (call $append (%[3]s.const 0) (%[3]s.const 4)) (call $reply))
	  (func $none (param %[3]s) (%[3]s.store (%[3]s.const 0) (%[3]s.const 9)))
	  (func $wrong))`, memory, table, address, map[string]string{"": "i32", "i64": "i64"}[table])
}

// TestCallbacks enters callbacks in modules of all widths.
func TestCallbacks(t *testing.T) {
	for _, c := range []struct{ memory, table, address, env string }{
		{"", "", "i32", "\x05\x00\x00\x00\x00\x00\x00\x00"},
		{"i64", "i64", "i64", "\x05\x00\x00\x00\x01\x00\x00\x00"},
		{"i64", "", "i64", "\x05\x00\x00\x00\x01\x00\x00\x00"},
	} {
		q := newQueue(t, wat(t, callbackWAT(c.memory, c.table, c.address)), allSetups()...)
		enter := func(e Entry, f uint64, answered bool) Outcome {
			return q.execute(nil, Input{Entry: e, Callback: Callback{Func: f, Env: 5 | 1<<32}, RejectCode: 4, Answered: answered})
		}
		want(t, enter(EntryReply, 0, false), Replied, c.env)
		want(t, enter(EntryReject, 1, false), Replied, le32(4))
		want(t, enter(EntryReply, 2, true), NoReply, "")
		want(t, enter(EntryReply, 0, true), Trapped, "ic0.msg_reply_data_append: the message has been answered")
		want(t, enter(EntryCleanup, 2, false), NoReply, "")
		want(t, enter(EntryCleanup, 0, false), Trapped, "ic0.msg_reply_data_append may not be called from a cleanup callback")
		want(t, enter(EntryReply, 3, false), Trapped, "indirect call type mismatch")
		want(t, enter(EntryReply, 4, false), Trapped, "indirect call to null")
		for _, f := range []uint64{5, 1 << 31, 1 << 32, 1<<32 + 2, 1 << 63} {
			want(t, enter(EntryReply, f, false), Trapped, "out of bounds table access")
		}
		want(t, enter(EntryHeartbeat, 0, true), MethodNotFound, "the canister has no canister_heartbeat")
		if out := enter(EntryInspect, 0, true); !out.Accepted {
			t.Error("a canister without inspection refuses a message")
		}
		if m := q.rigs[0].Module(); !m.Has(EntryReply) || m.Has(EntryTimer) || m.Has(EntryInspect) || m.Has(EntryUpdate) {
			t.Error("Has tells something else")
		}
	}
	q := newQueue(t, wat(t, `(module (memory 1))`), plainSetup())
	want(t, q.execute(nil, Input{Entry: EntryReply}), Trapped, "the canister has no table of functions")
}
