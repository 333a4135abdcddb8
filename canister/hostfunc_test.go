package canister

import (
	"fmt"
	"strings"
	"testing"

	"lockstep/canister/systemapi"
)

// imports declares every host function by its own name.
func imports() string {
	var b strings.Builder
	for _, f := range systemapi.Funcs(false) {
		fmt.Fprintf(&b, "(import %q %q (func $%s", f.Module, f.Name, f.Name)
		for _, p := range f.Type.Params {
			fmt.Fprintf(&b, " (param %s)", p)
		}
		for _, r := range f.Type.Results {
			fmt.Fprintf(&b, " (result %s)", r)
		}
		b.WriteString("))\n")
	}
	return b.String()
}

// probe is a module with one update method, t, and one query method, q, of the
// same body. $ok answers with the i32 at 0; memory has one page, with "hello"
// at 100, bytes that are not UTF-8 at 110, and a list of one buffer, the 5
// bytes at 100, at 120.
func probe(body string) string {
	return "(module " + imports() + `(memory 1 2)
	  (data (i32.const 100) "hello")
	  (data (i32.const 110) "\ff\fe")
	  (data (i32.const 120) "\64\00\00\00\05\00\00\00")
	  (func $ok (param i32)
	    (i32.store (i32.const 0) (local.get 0))
	    (call $msg_reply_data_append (i32.const 0) (i32.const 4)) (call $msg_reply))
	  (func $ok64 (param i64)
	    (i64.store (i32.const 0) (local.get 0))
	    (call $msg_reply_data_append (i32.const 0) (i32.const 8)) (call $msg_reply))
	  (func $show (param i32 i32)
	    (call $msg_reply_data_append (local.get 0) (local.get 1)) (call $msg_reply))
	  (func (export "canister_update t")` + body + `)
	  (func (export "canister_query q")` + body + "))"
}

func le32(v uint32) string {
	return string([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
}

// TestHostFunctions has one small module a rule. The environment is that of
// rig.env for the second message; the argument is "argument".
func TestHostFunctions(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     Status
		text       string // the reply, or why not
	}{
		{"argument size", `(call $ok (call $msg_arg_data_size))`, Replied, le32(8)},
		{"argument", `(call $msg_arg_data_copy (i32.const 8) (i32.const 3) (i32.const 5)) (call $show (i32.const 8) (i32.const 5))`,
			Replied, "ument"},
		{"argument, nothing at its end", `(call $msg_arg_data_copy (i32.const 65536) (i32.const 8) (i32.const 0)) (call $ok (i32.const 1))`,
			Replied, le32(1)},
		{"argument beyond its end", `(call $msg_arg_data_copy (i32.const 0) (i32.const 4) (i32.const 5))`,
			Trapped, "5 bytes at 4 are outside the data of 8 bytes"},
		{"argument, offset wraps", `(call $msg_arg_data_copy (i32.const 0) (i32.const -1) (i32.const 2))`,
			Trapped, "2 bytes at 4294967295 are outside the data of 8 bytes"},
		{"argument to beyond memory", `(call $msg_arg_data_copy (i32.const 65532) (i32.const 0) (i32.const 8))`,
			Trapped, "8 bytes at 65532 are outside the memory of 65536 bytes"},
		{"argument to memory just grown", `(drop (memory.grow (i32.const 1)))
			(call $msg_arg_data_copy (i32.const 65532) (i32.const 0) (i32.const 8)) (call $show (i32.const 65532) (i32.const 8))`,
			Replied, "argument"},
		{"caller", `(call $msg_caller_copy (i32.const 8) (i32.const 0) (call $msg_caller_size)) (call $show (i32.const 8) (call $msg_caller_size))`,
			Replied, "caller"},
		{"caller beyond its end", `(call $msg_caller_copy (i32.const 8) (i32.const 0) (i32.const 7))`,
			Trapped, "7 bytes at 0 are outside the data of 6 bytes"},
		{"self", `(call $canister_self_copy (i32.const 8) (i32.const 0) (call $canister_self_size)) (call $show (i32.const 8) (call $canister_self_size))`,
			Replied, string(Principal(7))},
		{"status", `(call $ok (call $canister_status))`, Replied, le32(1)},
		{"time", `(call $ok64 (i64.sub (call $time) (i64.const 1700000000000000000)))`, Replied, le32(2000) + le32(0)},
		{"reply in parts", `(call $msg_reply_data_append (i32.const 100) (i32.const 2))
			(call $msg_reply_data_append (i32.const 102) (i32.const 3)) (call $msg_reply)`, Replied, "hello"},
		{"reply without data", `(call $msg_reply)`, Replied, ""},
		{"data without reply", `(call $msg_reply_data_append (i32.const 100) (i32.const 2))`, NoReply, "the canister did not reply"},
		{"reply from beyond memory", `(call $msg_reply_data_append (i32.const 65535) (i32.const 2))`,
			Trapped, "2 bytes at 65535 are outside the memory of 65536 bytes"},
		{"second reply", `(call $msg_reply) (call $msg_reply)`, Trapped, "ic0.msg_reply: the message has been answered"},
		{"data after reply", `(call $msg_reply) (call $msg_reply_data_append (i32.const 0) (i32.const 0))`,
			Trapped, "ic0.msg_reply_data_append: the message has been answered"},
		{"reply after reject", `(call $msg_reject (i32.const 100) (i32.const 5)) (call $msg_reply)`,
			Trapped, "ic0.msg_reply: the message has been answered"},
		{"reject", `(call $msg_reply_data_append (i32.const 100) (i32.const 2)) (call $msg_reject (i32.const 100) (i32.const 5))`,
			Rejected, "hello"},
		{"reject after reply", `(call $msg_reply) (call $msg_reject (i32.const 100) (i32.const 5))`,
			Trapped, "ic0.msg_reject: the message has been answered"},
		{"reject with bytes that are no text", `(call $msg_reject (i32.const 110) (i32.const 2))`,
			Trapped, "ic0.msg_reject: the message is not UTF-8"},
		{"longest reply", `(call $msg_reply_data_append (i32.const 0) (i32.const 1000)) (call $msg_reply)`,
			Replied, strings.Repeat("\x00", 100) + "hello" + strings.Repeat("\x00", 5) + "\xff\xfe" + strings.Repeat("\x00", 8) +
				"\x64\x00\x00\x00\x05" + strings.Repeat("\x00", 875)},
		{"over-long reply", `(call $msg_reply_data_append (i32.const 0) (i32.const 1001))`,
			Trapped, "ic0.msg_reply_data_append: a reply of 1001 bytes, the limit is 1000"},
		{"over-long reply in parts", `(call $msg_reply_data_append (i32.const 0) (i32.const 1000))
			(call $msg_reply_data_append (i32.const 0) (i32.const 1))`,
			Trapped, "ic0.msg_reply_data_append: a reply of 1001 bytes, the limit is 1000"},
		{"over-long reject", `(call $msg_reject (i32.const 0) (i32.const 1001))`,
			Trapped, "ic0.msg_reject: a message of 1001 bytes, the limit is 1000"},
		{"trap", `(call $trap (i32.const 100) (i32.const 5))`, Trapped, "canister trapped: hello"},
		{"trap beyond memory", `(call $trap (i32.const 65537) (i32.const 5))`, Trapped, "canister trapped: "},
		{"trap across the end", `(i32.store8 (i32.const 65535) (i32.const 33)) (call $trap (i32.const 65535) (i32.const -1))`,
			Trapped, "canister trapped: !"},
		{"trap, not text", `(call $trap (i32.const 110) (i32.const 2))`, Trapped, "canister trapped: \uFFFD"},
		{"print never traps", `(call $debug_print (i32.const 65537) (i32.const -1)) (call $debug_print (i32.const 100) (i32.const 5)) (call $ok (i32.const 1))`,
			Replied, le32(1)},
		{"counter rises", `(local $a i64) (local.set $a (call $performance_counter (i32.const 0)))
			(call $ok (i64.lt_u (local.get $a) (call $performance_counter (i32.const 1))))`, Replied, le32(1)},
		{"counter that is not", `(drop (call $performance_counter (i32.const 2)))`,
			Trapped, "ic0.performance_counter: there is no counter 2"},
		{"a copy is paid", `(local $a i64) (drop (memory.grow (i32.const 1))) (local.set $a (call $performance_counter (i32.const 0)))
			(call $debug_print (i32.const 0) (i32.const 16000))
			(call $ok (i64.gt_u (i64.sub (call $performance_counter (i32.const 0)) (local.get $a)) (i64.const 1000)))`, Replied, le32(1)},
		{"a fill is paid", `(local $a i64) (local.set $a (call $performance_counter (i32.const 0)))
			(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))
			(call $ok (i64.gt_u (i64.sub (call $performance_counter (i32.const 0)) (local.get $a)) (i64.const 2560)))`, Replied, le32(1)},
		{"printing for ever", `(loop (call $debug_print (i32.const 0) (i32.const 16000)) (br 0))`,
			OutOfFuel, "the limit of 20000000 units of fuel is used up"},
		{"random for ever", `(loop (drop (call $random_get (i32.const 0) (i32.const 65536))) (br 0))`,
			OutOfFuel, "the limit of 20000000 units of fuel is used up"},

		{"wasi clock", `(call $ok (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)))`, Replied, le32(0)},
		{"wasi clock's value", `(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 16)))
			(call $ok (i64.eq (i64.load (i32.const 16)) (call $time)))`, Replied, le32(1)},
		{"wasi clock that is not", `(call $ok (call $clock_time_get (i32.const 9) (i64.const 0) (i32.const 16)))`, Replied, le32(28)},
		{"wasi clock outside memory", `(call $ok (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 65530)))`, Replied, le32(21)},
		{"wasi random differs", `(drop (call $random_get (i32.const 16) (i32.const 8))) (drop (call $random_get (i32.const 24) (i32.const 8)))
			(call $ok (i64.eq (i64.load (i32.const 16)) (i64.load (i32.const 24))))`, Replied, le32(0)},
		{"wasi random outside memory", `(call $ok (call $random_get (i32.const 65535) (i32.const 8)))`, Replied, le32(21)},
		{"wasi write", `(drop (call $fd_write (i32.const 1) (i32.const 120) (i32.const 1) (i32.const 16))) (call $ok (i32.load (i32.const 16)))`,
			Replied, le32(5)},
		{"wasi write to a file", `(call $ok (call $fd_write (i32.const 3) (i32.const 120) (i32.const 1) (i32.const 16)))`, Replied, le32(8)},
		{"wasi read of nothing", `(i32.store (i32.const 16) (i32.const 7))
			(drop (call $fd_read (i32.const 0) (i32.const 120) (i32.const 1) (i32.const 16))) (call $ok (i32.load (i32.const 16)))`, Replied, le32(0)},
		{"wasi arguments", `(i64.store (i32.const 16) (i64.const -1)) (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
			(call $ok64 (i64.load (i32.const 16)))`, Replied, le32(0) + le32(0)},
		{"wasi open", `(call $ok (call $path_open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 0) (i64.const 0)
			(i64.const 0) (i32.const 0) (i32.const 16)))`, Replied, le32(8)},
		{"wasi stdout is a terminal", `(drop (call $fd_fdstat_get (i32.const 1) (i32.const 16))) (call $ok (i32.load8_u (i32.const 16)))`, Replied, le32(2)},
		{"wasi exit", `(call $proc_exit (i32.const -1))`, Trapped, "proc_exit(-1)"},
		{"wasi raise", `(call $ok (call $proc_raise (i32.const 6)))`, Replied, le32(52)},
		{"wasi wait for nothing", `(drop (call $poll_oneoff (i32.const 200) (i32.const 300) (i32.const 0) (i32.const 16)))
			(call $ok (call $poll_oneoff (i32.const 200) (i32.const 300) (i32.const 0) (i32.const 16)))`, Replied, le32(28)},
		{"wasi wait moves the clock", `(i64.store (i32.const 224) (i64.const 500)) ;; one relative timeout
			(drop (call $poll_oneoff (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 16)))
			(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 24)))
			(call $ok64 (i64.sub (i64.load (i32.const 24)) (call $time)))`, Replied, le32(500) + le32(0)},
		{"wasi wait for ever", `(i64.store (i32.const 224) (i64.const -1))
			(drop (call $poll_oneoff (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 16)))`,
			Trapped, "poll_oneoff: waiting for something that cannot happen"},
		{"NaN is canonical", `(call $ok (i32.reinterpret_f32 (f32.div (f32.load (i32.const 40)) (f32.load (i32.const 44)))))`,
			Replied, le32(0x7fc00000)},
		{"assembly script's abort", `(i32.store (i32.const 200) (i32.const 4)) (i32.store (i32.const 204) (i32.const 0x690068))
			(call $abort (i32.const 204) (i32.const 0) (i32.const 3) (i32.const 9))`, Trapped, "abort: hi in :3:9"},
		{"assembly script's seed", `(call $ok (f64.lt (call $seed) (f64.const 1)))`, Replied, le32(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plainSetup()
			s.limits.ReplyBytes = 1000
			r := install(t, s, wat(t, probe(c.body)))
			before := r.root()
			want(t, r.update("t", "argument"), c.status, c.text)
			if !c.status.Committed() && r.root() != before {
				t.Error("the failure left changes")
			}
			r = install(t, s, wat(t, probe(c.body)))
			want(t, r.query("q", "argument"), c.status, c.text)
			if r.root() != before {
				t.Error("the query left changes")
			}
		})
	}
}
