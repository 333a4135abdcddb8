package canister

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"lockstep/memstore"
)

// scribbleWAT does to its memory and globals what an argument of bytes says:
// each byte is an operation on places that a generator in a private global
// picks. It has a start function, passive segments that it drops, and
// elements.
const scribbleWAT = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $argsize (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (memory 3)
  (global $seed (mut i64) (i64.const 88172645463325252))
  (global $float (mut f32) (f32.const 1))
  (global $double (mut f64) (f64.const 1))
  (table 6 funcref)
  (type $op (func))
  (elem (i32.const 0) $store $fill $copy $grow $init $nan)
  (elem $passive func $store)
  (data $active (i32.const 70000) "set once")
  (data $passive "passive segment")
  (func $start (i32.store (i32.const 70100) (i32.const 42)) (i32.store8 (i32.const 70000) (i32.const 83)))
  (start $start)
  (func $random (result i32)
    (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 13))))
    (global.set $seed (i64.xor (global.get $seed) (i64.shr_u (global.get $seed) (i64.const 7))))
    (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 17))))
    (i32.wrap_i64 (global.get $seed)))
  (func $place (result i32) ;; any 8 bytes after the first page
    (i32.add (i32.const 4096)
      (i32.rem_u (call $random) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 20000)))))
  (func $store (i64.store (call $place) (i64.extend_i32_s (i32.rem_u (call $random) (i32.const 3)))))
  (func $fill (memory.fill (call $place) (i32.rem_u (call $random) (i32.const 2)) (i32.rem_u (call $random) (i32.const 10000))))
  (func $copy (memory.copy (call $place) (call $place) (i32.rem_u (call $random) (i32.const 10000))))
  (func $grow (drop (memory.grow (i32.const 1))))
  (func $init
    (memory.init $passive (call $place) (i32.const 0) (i32.const 15))
    (data.drop $passive) (data.drop $active) (elem.drop $passive))
  (func $nan
    (global.set $float (f32.div (f32.const 0) (f32.const 0)))
    (global.set $double (f64.sqrt (f64.const -1)))
    (f64.store (call $place) (f64.add (global.get $double) (f64.promote_f32 (global.get $float)))))
  (func $run (local $n i32) (local $i i32)
    (call $argcopy (i32.const 0) (i32.const 0) (local.tee $n (call $argsize)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
      (if (i32.eq (i32.load8_u (local.get $i)) (i32.const 33)) (then unreachable))
      (call_indirect (type $op) (i32.rem_u (i32.load8_u (local.get $i)) (i32.const 6)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (i64.store (i32.const 2048) (i64.extend_i32_u (memory.size)))
    (call $append (i32.const 2048) (i32.const 8)) (call $reply))
  (export "canister_update run" (func $run))
  (export "canister_query look" (func $run)))`

// operations draws an argument for scribble; one in four traps at its end.
func operations(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(6))
	for i := range b {
		b[i] = byte(r.IntN(6))
		if b[i]%6 == 3 && r.IntN(3) > 0 {
			b[i] = 0 // grow less often
		}
	}
	if r.IntN(4) == 0 {
		b = append(b, '!')
	}
	return string(b)
}

// TestReplicasAgree gives one list of messages to replicas under all trackers
// and compilers, some of which are restored from another's state on the way.
func TestReplicasAgree(t *testing.T) {
	const seed = 20211123
	r := rand.New(rand.NewPCG(seed, 1))
	wasm := wat(t, scribbleWAT)
	var replicas []*rig
	for _, tracker := range memstore.Trackers() {
		s := plainSetup()
		s.tracker = tracker
		s.engine = allEngines[len(replicas)%len(allEngines)]
		s.limits.MemoryBytes = 40 * memstore.WasmPageSize
		replicas = append(replicas, install(t, s, wasm))
	}
	grown := map[string]bool{}
	for i := range 150 {
		arg := operations(r)
		for n, rep := range replicas {
			if i%29 == n+3 { // goes on as another replica, in a store of its own
				other := replicas[(n+1)%len(replicas)]
				s := plainSetup()
				s.tracker, s.engine, s.limits = rep.config.Tracker.(memstore.Tracker), rep.config.Engine.config, rep.config.Limits
				replicas[n] = other.replica(s, other.State())
				replicas[n].messages = rep.messages
			}
		}
		var first Outcome
		for n, rep := range replicas {
			out := rep.update("run", arg)
			if n == 0 {
				first = out
				grown[string(out.Reply)] = true
			}
			if out.String() != first.String() {
				t.Fatalf("seed %d, message %d %q: %s: %v, want %v", seed, i, arg, rep.config.Tracker, out, first)
			}
			if rep.root() != replicas[0].root() {
				t.Fatalf("seed %d, message %d %q: %s has another root than %s", seed, i, arg, rep.config.Tracker, replicas[0].config.Tracker)
			}
			if r.IntN(4) == 0 {
				rep.query("look", operations(r))
				rep.messages--
			}
		}
	}
	if len(grown) < 10 {
		t.Errorf("the memory had only %d sizes: the list is too tame", len(grown))
	}
}

// TestRestoreRunsNothing: start function and data segments act at install only.
func TestRestoreRunsNothing(t *testing.T) {
	r := install(t, plainSetup(), wat(t, `(module
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
	  (memory 1) (data (i32.const 0) "data") (start $s)
	  (func $s (i32.store8 (i32.const 8) (i32.add (i32.const 1) (i32.load8_u (i32.const 8)))))
	  (func (export "_initialize") (i32.store8 (i32.const 9) (i32.add (i32.const 1) (i32.load8_u (i32.const 8)))))
	  (func (export "canister_init") (i32.store8 (i32.const 10) (i32.add (i32.const 1) (i32.load8_u (i32.const 9)))))
	  (func (export "canister_update wipe") (memory.fill (i32.const 0) (i32.const 120) (i32.const 6)) (call $reply))
	  (func (export "canister_query look") (call $append (i32.const 0) (i32.const 12)) (call $reply)))`))
	want(t, r.query("look", ""), Replied, "data\x00\x00\x00\x00\x01\x02\x03\x00")
	r.update("wipe", "")
	restored := r.replica(plainSetup(), r.State())
	want(t, restored.query("look", ""), Replied, "xxxxxx\x00\x00\x01\x02\x03\x00")
	if restored.root() != r.root() {
		t.Error("roots differ")
	}
}

func TestInstallFails(t *testing.T) {
	for _, c := range []struct {
		body   string
		status Status
		text   string
	}{
		{`(start $f) (func $f unreachable)`, Trapped, "unreachable"},
		{`(func (export "_initialize") (call $trap (i32.const 0) (i32.const 3)))`, Trapped, "canister trapped: why"},
		{`(func (export "canister_init") (drop (memory.grow (i32.const 1))) unreachable)`, Trapped, "unreachable"},
		{`(start $f) (func $f (loop (br 0)))`, OutOfFuel, "the limit of 30000 units of fuel is used up"},
		{`(table 1 funcref) (elem (i32.const 1) $trap)`, Trapped, "out of bounds table access: an element segment lies outside its table"},
	} {
		s := plainSetup()
		s.limits.InstallFuel = 30000
		conf := s.config(t)
		m := compile(t, conf, wat(t, `(module (import "ic0" "trap" (func $trap (param i32 i32))) (memory 1)
		  (data (i32.const 0) "why")`+c.body+")"))
		can, out, err := Install(conf, m, Env{}, nil)
		if err != nil || can != nil {
			t.Fatalf("%s: %v, %v", c.body, can, err)
		}
		want(t, out, c.status, c.text)
	}
}

// TestQueriesBesideUpdates runs queries on the newest and on older states
// while updates go on; each must see the state it was asked on.
func TestQueriesBesideUpdates(t *testing.T) {
	for _, s := range allSetups() {
		t.Run(s.name(), func(t *testing.T) {
			r := install(t, s, wat(t, counterWAT))
			pin := r.config.Store.Pin()
			defer pin.Release()
			old := r.State()
			done := make(chan struct{})
			var readers sync.WaitGroup
			for range 3 {
				readers.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-done:
							return
						default:
						}
						if err := queryOnce(r, old, n%2 == 0); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for i := range 200 {
				if i%20 == 7 {
					r.update("growtrap", "")
				}
				if i == 100 {
					r.update("grow", "")
				}
				want(t, r.update("inc", ""), Replied, le32(counted(i)))
			}
			close(done)
			readers.Wait()
		})
	}
}

// counted is what the i-th inc of TestQueriesBesideUpdates answers.
func counted(i int) uint32 {
	if i >= 100 {
		return uint32(i + 2) // grow counts, too
	}
	return uint32(i + 1)
}

func queryOnce(r *rig, old State, onOld bool) error {
	pin := r.config.Store.Pin()
	defer pin.Release()
	s := old
	if !onOld {
		s = r.State()
	}
	out, err := r.Query(Env{}, s, Message{Method: "peek"})
	if err != nil {
		return err
	}
	if got, want := string(out.Reply), le32(uint32(s.Globals[0].Lo))+le32(0); got != want {
		return fmt.Errorf("query saw a global of % x in a state of % x", got, want)
	}
	out, err = r.Query(Env{}, s, Message{Method: "get"})
	if err != nil {
		return err
	}
	seen := uint64(s.Globals[0].Lo)/2 + 1 // the global counts in twos beside the memory
	if got := string(out.Reply); got != le32(uint32(seen)) {
		return fmt.Errorf("query saw % x in a state of %d", got, seen)
	}
	return nil
}
