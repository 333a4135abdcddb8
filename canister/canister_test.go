package canister

import (
	"testing"
)

// counterWAT counts in memory and in a private global, and can fail after
// having changed both.
const counterWAT = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $argsize (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1 10)
  (global $private (mut i64) (i64.const 0))
  (global $vector (mut v128) (v128.const i64x2 1 2))
  (data (i32.const 100) "no thank you")
  (func $bump
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (global.set $vector (i64x2.add (global.get $vector) (v128.const i64x2 3 4)))
    (global.set $private (i64.add (global.get $private) (i64.const 2))))
  (func $init (call $argcopy (i32.const 200) (i32.const 0) (call $argsize)))
  (func (export "canister_update inc") (call $bump)
    (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_query_get") (call $bump)
    (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_query peek")
    (i64.store (i32.const 8) (global.get $private))
    (call $append (i32.const 8) (i32.const 8)) (call $reply))
  (func (export "canister_update private")
    (i64.store (i32.const 8) (global.get $private))
    (call $append (i32.const 8) (i32.const 8)) (call $reply))
  (func (export "canister_update reject") (call $bump) (call $reject (i32.const 100) (i32.const 12)))
  (func (export "canister_update silent") (call $bump))
  (func (export "canister_update unreachable") (call $bump) unreachable)
  (func (export "canister_update trap") (call $bump) (call $trap (i32.const 100) (i32.const 12)))
  (func (export "canister_update div") (call $bump)
    (i32.store (i32.const 0) (i32.div_u (i32.const 1) (i32.const 0))))
  (func (export "canister_update bounds") (call $bump) (i32.store (i32.const 655360) (i32.const 1)))
  (func (export "canister_update forever") (call $bump) (loop (br 0)))
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "canister_update deep") (call $bump) (drop (call $deep (i32.const 1))))
  (func (export "canister_update grow") (call $bump)
    (drop (memory.grow (i32.const 2))) (i32.store (i32.const 131072) (i32.const 9)) (call $reply))
  (func (export "canister_update growtrap") (call $bump)
    (drop (memory.grow (i32.const 2))) (i32.store (i32.const 131072) (i32.const 9)) unreachable)
  (func (export "canister_update toobig") (call $bump)
    (i32.store (i32.const 0) (memory.grow (i32.const 10)))
    (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (export "canister_init" (func $init)))`

func TestAnswers(t *testing.T) {
	r := install(t, plainSetup(), wat(t, counterWAT))
	want(t, r.update("inc", ""), Replied, "\x01\x00\x00\x00")
	want(t, r.update("inc", ""), Replied, "\x02\x00\x00\x00")
	want(t, r.query("get", ""), Replied, "\x03\x00\x00\x00")
	want(t, r.query("get", ""), Replied, "\x03\x00\x00\x00")
	want(t, r.update("get", ""), Replied, "\x03\x00\x00\x00")
	want(t, r.update("reject", ""), Rejected, "no thank you")
	want(t, r.update("silent", ""), NoReply, "the canister did not reply")
	want(t, r.update("inc", ""), Replied, "\x05\x00\x00\x00")
	want(t, r.update("private", ""), Replied, "\x0a\x00\x00\x00\x00\x00\x00\x00")
	want(t, r.update("toobig", ""), Replied, "\xff\xff\xff\xff")
	want(t, r.update("none", ""), MethodNotFound, `the canister has no update or query method "none"`)
	want(t, r.query("inc", ""), MethodNotFound, `the canister has no query method "inc"`)
}

// TestStopIsForgotten: what stopped one message does not stop the next, which
// calls nothing of the host's.
func TestStopIsForgotten(t *testing.T) {
	for _, s := range allSetups() {
		r := install(t, s, wat(t, counterWAT))
		want(t, r.update("trap", ""), Trapped, "canister trapped: no thank you")
		want(t, r.update("silent", ""), NoReply, "the canister did not reply")
		want(t, r.update("unreachable", ""), Trapped, "unreachable")
	}
}

var counterTraps = []struct {
	method string
	status Status
	text   string
}{
	{"unreachable", Trapped, "unreachable"},
	{"trap", Trapped, "canister trapped: no thank you"},
	{"div", Trapped, "integer divide by zero"},
	{"bounds", Trapped, "out of bounds memory access"},
	{"deep", Trapped, "call stack exhausted"},
	{"growtrap", Trapped, "unreachable"},
	{"forever", OutOfFuel, "the limit of 20000000 units of fuel is used up"},
	{"none", MethodNotFound, `the canister has no update or query method "none"`},
}

// TestFailuresLeaveNothing compares roots after each failure, and after a
// message that follows it, with those of a canister that never failed.
func TestFailuresLeaveNothing(t *testing.T) {
	for _, s := range allSetups() {
		t.Run(s.name(), func(t *testing.T) {
			calm := install(t, s, wat(t, counterWAT))
			for _, c := range counterTraps {
				r := install(t, s, wat(t, counterWAT))
				r.update("inc", "")
				before := r.root()
				want(t, r.update(c.method, ""), c.status, c.text)
				if r.root() != before {
					t.Errorf("%s: root %v, want %v", c.method, r.root(), before)
				}
				r.update("grow", "")
				want(t, r.update(c.method, ""), c.status, c.text)
				r.update("inc", "")
				after := r.root()
				r.update("inc", "")
				if calm.messages == 1 {
					calm.update("inc", "")
					calm.update("grow", "")
					calm.update("inc", "")
				}
				if after != calm.root() {
					t.Errorf("%s: root after later messages %v, want %v", c.method, after, calm.root())
				}
			}
		})
	}
}

// TestRestoreNeedsGlobals shows that roots tell what replies do not: with the
// globals lost, inc still answers right.
func TestRestoreNeedsGlobals(t *testing.T) {
	r := install(t, plainSetup(), wat(t, counterWAT))
	r.update("inc", "")
	s := r.State()
	good, bad := s, s
	bad.Globals = append([]Global(nil), s.Globals...)
	bad.Globals[0].Lo = 0
	roots := make(map[string]bool)
	for _, s := range []State{good, bad} {
		c := r.replica(plainSetup(), s)
		want(t, c.update("inc", ""), Replied, "\x02\x00\x00\x00")
		roots[c.root().String()] = true
	}
	r.update("inc", "")
	if len(roots) != 2 || !roots[r.root().String()] {
		t.Errorf("live %v, restored %v", r.root(), roots)
	}
}

func TestRestoreRefusesForeignState(t *testing.T) {
	r := install(t, plainSetup(), wat(t, counterWAT))
	s := r.State()
	short, typed, big := s, s, s
	short.Globals = s.Globals[:1]
	typed.Globals = append([]Global{{Type: 0x7f}}, s.Globals[1:]...)
	big.Memory.Size = 11 * 16
	for i, s := range []State{short, typed, big, {}} {
		if c, err := Restore(r.config, r.Module(), s); err == nil {
			c.Close()
			t.Errorf("state %d accepted", i)
		}
	}
}

// TestNoMemory runs a module whose whole state is a global.
func TestNoMemory(t *testing.T) {
	r := install(t, plainSetup(), wat(t, `(module
	  (import "ic0" "msg_reply" (func $reply))
	  (global $n (mut i32) (i32.const 5))
	  (func (export "canister_update inc") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $reply))
	  (func (export "canister_update trap") (global.set $n (i32.const 0)) unreachable)
	  (func (export "canister_query q") (global.set $n (i32.const 0)) (call $reply)))`))
	first := r.root()
	want(t, r.update("trap", ""), Trapped, "unreachable")
	want(t, r.query("q", ""), Replied, "")
	if r.root() != first {
		t.Error("a trap or a query changed the root")
	}
	want(t, r.update("inc", ""), Replied, "")
	if s := r.State(); s.Globals[0].Lo != 6 || r.root() == first {
		t.Errorf("globals %v", s.Globals)
	}
}

// TestInstallationIsOneBudget: the start function, _initialize and canister_init share the fuel of an installation, and each has
// randomness of its own.
func TestInstallationIsOneBudget(t *testing.T) {
	module := wat(t, `(module
	  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
	  (memory 1)
	  (func $burn (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
	  (func (export "_initialize") (drop (call $random (i32.const 0) (i32.const 8))) (call $burn (i32.const 10000)))
	  (func (export "canister_init") (drop (call $random (i32.const 8) (i32.const 8))) (call $burn (i32.const 10000)))
	  (func (export "canister_query get") (call $append (i32.const 0) (i32.const 16)) (call $reply)))`)
	s := plainSetup()
	s.limits.InstallFuel = 1_000_000
	r := install(t, s, module)
	if got := r.query("get", "").Reply; string(got[:8]) == string(got[8:]) {
		t.Errorf("random twice: %x", got)
	}
	c := s.config(t)
	can, whole, err := Install(c, compile(t, c, module), r.env(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer can.Close()
	for _, fuel := range []uint64{whole.Fuel * 3 / 4, whole.Fuel} {
		s.limits.InstallFuel = fuel
		c := s.config(t)
		can, out, err := Install(c, compile(t, c, module), r.env(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if fits := fuel == whole.Fuel; fits != (out.Status == Replied) || !fits && out.Status != OutOfFuel {
			t.Errorf("with %d of %d units: %v", fuel, whole.Fuel, out)
		}
		if can != nil {
			if err := can.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
