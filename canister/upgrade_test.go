package canister

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/memstore"
)

// lifeWAT keeps a number in memory, in a global, and in stable memory; $fail
// says where its upgrade traps.
func lifeWAT(step int, fail, section string) string {
	trap := func(where string) string {
		if fail == where {
			return `(drop (memory.grow (i32.const 1))) unreachable`
		}
		return ""
	}
	return fmt.Sprintf(`(module
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
	  (import "ic0" "stable64_size" (func $ssize (result i64)))
	  (import "ic0" "stable64_grow" (func $sgrow (param i64) (result i64)))
	  (import "ic0" "stable64_read" (func $sread (param i64 i64 i64)))
	  (import "ic0" "stable64_write" (func $swrite (param i64 i64 i64)))
	  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
	  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
	  (memory 1) (global $g (mut i32) (i32.const 0)) (data (i32.const 0) "\01")
	  (func $start (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1))) %[2]s)
	  (start $start)
	  (func $add
	    (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const %[1]d)))
	    (global.set $g (i32.add (global.get $g) (i32.const %[1]d)))
	    (if (i64.eqz (call $ssize)) (then (drop (call $sgrow (i64.const 1)))))
	    (call $sread (i64.const 16) (i64.const 5000) (i64.const 4))
	    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const %[1]d)))
	    (call $swrite (i64.const 5000) (i64.const 16) (i64.const 4)))
	  (func (export "canister_init") (drop (call $timer (i64.const 77))))
	  (func (export "canister_pre_upgrade") (drop (call $timer (i64.const 99))) (call $add) %[3]s)
	  (func (export "canister_post_upgrade") (call $add) (call $certify (i32.const 16) (i32.const 4)) %[4]s)
	  (func (export "canister_update add") (call $add) (call $certify (i32.const 16) (i32.const 4)) (call $reply))
	  (func (export "canister_query get")
	    (i32.store (i32.const 12) (global.get $g))
	    (call $sread (i64.const 16) (i64.const 5000) (i64.const 4))
	    (call $append (i32.const 0) (i32.const 20)) (call $reply))
	  %[5]s)`, step, trap("start"), trap("pre"), trap("post"), section)
}

const keepSection = `(@custom "icp:private enhanced-orthogonal-persistence" "")`

func numbers(n ...uint32) string {
	var b strings.Builder
	for _, v := range n {
		b.WriteString(le32(v))
	}
	return b.String()
}

func newQueue(t *testing.T, wasm []byte, setups ...setup) *queue {
	q := &queue{t: t}
	for _, s := range setups {
		q.rigs = append(q.rigs, install(t, s, wasm))
	}
	return q
}

// TestUpgrade: what goes on and what starts anew, on replicas of all kinds, and
// that an upgrade that fails anywhere leaves the old canister as it was.
func TestUpgrade(t *testing.T) {
	get := func(q *queue) string {
		return string(q.each(func(r *rig) Outcome { return r.query("get", "") }).Reply)
	}
	for _, c := range []struct {
		name, section string
		options       UpgradeOptions
		want          string // data, added in memory, starts, global, stable
	}{
		{"fresh memory", "", UpgradeOptions{}, numbers(1, 10, 1, 10, 13)},
		{"kept by option", "", UpgradeOptions{Memory: MemoryKeep}, numbers(1, 13, 2, 10, 13)},
		{"kept by section", keepSection, UpgradeOptions{}, numbers(1, 13, 2, 10, 13)},
		{"no pre-upgrade", "", UpgradeOptions{SkipPreUpgrade: true}, numbers(1, 10, 1, 10, 12)},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(t, wat(t, lifeWAT(1, "", c.section)), allSetups()...)
			q.update("add", nil)
			q.update("add", nil)
			before := get(q)
			for _, fail := range []string{"start", "post"} {
				want(t, q.upgrade(wat(t, lifeWAT(10, fail, c.section)), nil, c.options), Trapped, "unreachable")
				if got := get(q); got != before {
					t.Errorf("after a failed upgrade %q, before %q", got, before)
				}
			}
			q.version = 0
			out := q.upgrade(wat(t, lifeWAT(10, "", c.section)), nil, c.options)
			want(t, out, Replied, "")
			if out.Timer == nil || *out.Timer != 0 {
				t.Error("the global timer is not off")
			}
			if got := get(q); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if s := q.rigs[0].State(); string(s.CertifiedData) != c.want[16:] {
				t.Errorf("certified %q", s.CertifiedData)
			}
			q.rigs = append(q.rigs, q.rigs[0].replica(allSetups()[1], q.rigs[0].State()))
			q.update("add", nil)
			want(t, q.upgrade(wat(t, lifeWAT(100, "", c.section)), nil, c.options), Replied, "")
			q.update("add", nil)
			for _, r := range q.rigs { // nothing of the old canisters is left in the store
				pages := r.State().Memory.Pages.Len() + r.State().Stable.Pages.Len()
				if live := r.config.Store.Stats().Live; live != uint64(pages) {
					t.Errorf("%d pages live, the state has %d", live, pages)
				}
			}
		})
	}
}

// TestWhatUpgradesCarry: certified data outlives what fails, a restore, and upgrades to modules that certify nothing; data segments
// are not written over a memory that is kept.
func TestWhatUpgradesCarry(t *testing.T) {
	module := wat(t, `(module
	  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
	  (import "ic0" "msg_reply" (func $reply))
	  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
	  (memory 1) (data (i32.const 0) "fresh") (data (i32.const 16) "again")
	  (func (export "canister_update set")
	    (memory.copy (i32.const 0) (i32.const 16) (i32.const 5)) (call $certify (i32.const 0) (i32.const 5)) (call $reply))
	  (func (export "canister_update fail") (call $certify (i32.const 16) (i32.const 2)) unreachable)
	  (func (export "canister_update get") (call $append (i32.const 0) (i32.const 5)) (call $reply)))`)
	q := newQueue(t, module, allSetups()...)
	check := func(memory string) {
		t.Helper()
		want(t, q.update("get", nil), Replied, memory)
		for i, r := range q.rigs {
			if got := string(r.State().CertifiedData); got != "again" {
				t.Errorf("canister %d has certified %q", i, got)
			}
		}
	}
	want(t, q.update("get", nil), Replied, "fresh")
	q.update("set", nil)
	want(t, q.update("fail", nil), Trapped, "unreachable")
	check("again")
	q.rigs = append(q.rigs, q.rigs[0].replica(plainSetup(), q.rigs[0].State()))
	check("again")
	want(t, q.upgrade(module, nil, UpgradeOptions{Memory: MemoryKeep}), Replied, "")
	check("again")
	want(t, q.upgrade(module, nil, UpgradeOptions{}), Replied, "")
	check("fresh")
}

// TestPreUpgradeTraps: then only an upgrade without it is possible.
func TestPreUpgradeTraps(t *testing.T) {
	q := newQueue(t, wat(t, lifeWAT(1, "pre", "")), allSetups()...)
	q.update("add", nil)
	next := wat(t, lifeWAT(10, "", ""))
	want(t, q.upgrade(next, nil, UpgradeOptions{}), Trapped, "unreachable")
	q.update("add", nil)
	want(t, q.upgrade(next, nil, UpgradeOptions{SkipPreUpgrade: true}), Replied, "")
}

// TestKeptMemoryTooLarge: the new module has room for less.
func TestKeptMemoryTooLarge(t *testing.T) {
	q := newQueue(t, wat(t, `(module (memory 3))`), plainSetup())
	want(t, q.upgrade(wat(t, `(module (memory 1 2))`), nil, UpgradeOptions{Memory: MemoryKeep}), Trapped,
		"the memory to keep has 3 pages of 64 KiB, the new module has room for 2")
	want(t, q.upgrade(wat(t, `(module)`), nil, UpgradeOptions{Memory: MemoryKeep}), Trapped,
		"the memory to keep has 3 pages of 64 KiB, the new module has room for 0")
	want(t, q.upgrade(wat(t, `(module (memory i64 5))`), nil, UpgradeOptions{Memory: MemoryKeep}), Replied, "")
	if n := q.rigs[0].State().Memory.Size; n != 5*perWasmPage {
		t.Errorf("%d pages", n)
	}
}

// TestAwaitAcrossRestore restores a replica at every point of a Motoko await
// and upgrades in between: 32 bits with classical persistence, 64 bits with the
// memory kept.
func TestAwaitAcrossRestore(t *testing.T) {
	for _, module := range []string{"store-classic", "store-enhanced"} {
		t.Run(module, func(t *testing.T) {
			wasm, err := os.ReadFile(filepath.Join(guestDir, module+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			q := &queue{t: t}
			for _, s := range guestSetups() {
				q.rigs = append(q.rigs, installArg(t, s, wasm, "DIDL\x00\x00"))
			}
			fill := []byte("DIDL\x00\x02\x71\x7d\x01k\x04") // (text "k", nat 4)
			ctx := q.send("fill", fill)
			for n := 0; q.step(); n++ {
				if n%3 == 1 && len(q.rigs) < 5 {
					from := q.rigs[n%len(q.rigs)]
					q.rigs = append(q.rigs, from.replica(guestSetup(n%3, memstore.TrackerPrefetch), from.State()))
				}
			}
			want(t, ctx.answer, Replied, "DIDL\x00\x01\x7d\x04")
			want(t, q.upgrade(wasm, []byte("DIDL\x00\x00"), UpgradeOptions{}), Replied, "")
			size := q.each(func(r *rig) Outcome { return r.query("size", "DIDL\x00\x00") })
			want(t, size, Replied, "DIDL\x00\x01\x7d\x04")
			want(t, q.update("fill", fill), Replied, "DIDL\x00\x01\x7d\x04")
		})
	}
}
