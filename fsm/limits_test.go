package fsm

import (
	"encoding/binary"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/memstore"
)

func limits(name, changes string) Message {
	return Message{Kind: KindLimits, Canister: name, Arg: []byte(changes)}
}

// Limits of a canister change what it may do from the next message on, also on a replica that was restored after the change.
func TestLimitsOfACanister(t *testing.T) {
	r := puppets(t, "a", "b")
	wantReply(t, r.one(run("a", count+reply(strings.Repeat("x", 200)))), strings.Repeat("x", 200))
	before := r.Latest()
	for _, bad := range []struct{ changes, reason string }{
		{"", "no limit is named"}, {"Speed=5", `there is no limit "Speed"`}, {"Fuel", "write NAME=NUMBER"}, {"Fuel=-1", "write NAME=NUMBER"},
		{"Fuel=0", "Fuel 0 is not within"}, {"MemoryBytes=65536", "which is more than 65536"}, {"Calls=5", `there is no limit "Calls"`},
	} {
		got := r.one(limits("a", bad.changes))
		if got.Status != StatusRefused || !strings.Contains(got.Text, bad.reason) {
			t.Errorf("%q: %s: %s, want %q", bad.changes, got.Status, got.Text, bad.reason)
		}
	}
	if got := r.state.canister(1).Limits; got != canister.DefaultLimits() || r.Latest() == before {
		t.Errorf("limits %+v after refusals", got)
	}
	other := limits("a", "Fuel=100")
	other.Caller = []byte("somebody")
	if got := r.one(other); got.Status != StatusRefused || !strings.Contains(got.Text, "not a controller") {
		t.Errorf("a stranger: %+v", got)
	}
	wantStatus(t, r.one(limits("a", "ReplyBytes=100 Fuel=50000 MemoryBytes=131072")), StatusReplied)
	restored := r.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: memstore.TrackerCompare})
	for _, replica := range []*replica{r, restored} {
		wantStatus(t, replica.one(run("a", reply(strings.Repeat("x", 200)))), StatusTrapped)
		wantReply(t, replica.one(run("b", reply(strings.Repeat("x", 200)))), strings.Repeat("x", 200))
		wantStatus(t, replica.one(run("a", script(strings.Repeat(string(count), 5000)))), StatusOutOfFuel)
		wantNumber(t, replica.one(run("a", replyCount)), 1)
		wantStatus(t, replica.one(run("a", reply(strings.Repeat("x", 65000)))), StatusTrapped) // no memory for the script
		wantStatus(t, replica.one(limits("a", "MemoryBytes=262144 ReplyBytes=70000 Fuel=4000000000")), StatusReplied)
		wantStatus(t, replica.one(run("a", call{to: 2, arg: script(strings.Repeat("x", 60000))}.script())), StatusPending)
		replica.rest()
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
}

// Limits of the cluster hold at once; new canisters begin with what it says of canisters.
func TestLimitsOfTheCluster(t *testing.T) {
	r := puppets(t, "a")
	wantStatus(t, r.one(limits("", "ArgBytes=64 Canisters=2 MemoryBytes=131072")), StatusReplied)
	if got := r.Limits(); got.ArgBytes != 64 || got.Canister.MemoryBytes != 131072 || got.Sessions != DefaultLimits().Sessions {
		t.Errorf("limits %+v", got)
	}
	if got := r.one(run("a", reply(strings.Repeat("x", 64)))); got.Status != StatusRefused || !strings.Contains(got.Text, "the cluster allows 64") {
		t.Errorf("a long argument: %+v", got)
	}
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "b", Module: puppet(t, "")}), StatusReplied)
	if a, b := r.state.canister(1).Limits, r.state.canister(2).Limits; a != canister.DefaultLimits() || b.MemoryBytes != 131072 {
		t.Errorf("limits %+v and %+v", a, b)
	}
	if got := r.one(Message{Kind: KindInstall, Canister: "c", Module: puppet(t, "")}); got.Status != StatusRefused || !strings.Contains(got.Text, "as many as it allows") {
		t.Errorf("one canister too many: %+v", got)
	}
	wantStatus(t, r.one(limits("", "ArgBytes=0")), StatusRefused)
	for name := range (Limits{}).Named() {
		if got := r.one(limits("", name+"=18446744073709551615")); got.Status != StatusRefused || !strings.Contains(got.Text, name) {
			t.Errorf("%s without a bound: %+v", name, got)
		}
	}
}

// reservoir grows its stable memory by as many pages as it is told, and replies with what it had before or -1, as 8 bytes.
const reservoir = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "stable_grow" (func $grow (param i32) (result i32)))
  (import "ic0" "stable64_grow" (func $grow64 (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $size (result i64)))
  (memory 1)
  (func $answer (param $n i64)
    (i64.store (i32.const 8) (local.get $n)) (call $append (i32.const 8) (i32.const 8)) (call $reply))
  (func $arg (result i64) (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8)) (i64.load (i32.const 0)))
  (func (export "canister_update grow") (call $answer (call $grow64 (call $arg))))
  (func (export "canister_update grow32") (call $answer (i64.extend_i32_s (call $grow (i32.wrap_i64 (call $arg))))))
  (func (export "canister_update size") (call $answer (call $size)))
  ;; more
  )`

// Stable memory grows to the limit and no further: after a change of the limit, which may not go below what is used; in an upgrade and
// after it; on a replica that was restored; and after all of it is gone.
func TestLimitsOfStableMemory(t *testing.T) {
	const none = ^uint64(0) // -1
	module := func(more string) []byte {
		return must(canister.ParseWAT([]byte(strings.Replace(reservoir, ";; more", more, 1))))
	}
	ask := func(r *replica, method string, pages, want uint64) {
		t.Helper()
		wantNumber(t, r.one(update("s", method, string(binary.LittleEndian.AppendUint64(nil, pages)))), want)
	}
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "s", Module: module("")}), StatusReplied)
	wantStatus(t, r.one(limits("s", "StableBytes=655360")), StatusReplied)
	ask(r, "grow", 11, none)
	ask(r, "grow", none, none)
	ask(r, "grow32", 11, none)
	ask(r, "grow", 4, 0)
	ask(r, "grow32", 2, 4)
	ask(r, "grow", 5, none)
	for _, bad := range []struct{ changes, reason string }{
		{"StableBytes=327680", "has 393216 bytes of stable memory, which is more than 327680"},
		{"StableBytes=0", "has 393216 bytes of stable memory, which is more than 0"},
		{"StableBytes=400000", "StableBytes 400000 is not"},
	} {
		if got := r.one(limits("s", bad.changes)); got.Status != StatusRefused || !strings.Contains(got.Text, bad.reason) {
			t.Errorf("%s: %s: %s, want %q", bad.changes, got.Status, got.Text, bad.reason)
		}
	}
	ask(r, "grow", 4, 6) // the refused ones changed nothing
	wantStatus(t, r.one(limits("s", "StableBytes=655360")), StatusReplied)
	ask(r, "grow", 1, none)
	wantStatus(t, r.one(limits("s", "StableBytes=786432")), StatusReplied)
	restored := r.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: memstore.TrackerCompare})
	for _, replica := range []*replica{r, restored} {
		ask(replica, "grow", 3, none)
		ask(replica, "grow32", 1, 10)
		greedy := `(func (export "canister_post_upgrade") (if (i64.ne (call $grow64 (i64.const 2)) (i64.const -1)) (then unreachable)))`
		wantStatus(t, replica.one(Message{Kind: KindUpgrade, Canister: "s", Module: module(greedy)}), StatusReplied)
		ask(replica, "grow", 2, none)
		ask(replica, "grow", 1, 11)
		ask(replica, "grow", 1, none)
		wantStatus(t, replica.one(Message{Kind: KindReinstall, Canister: "s", Module: module("")}), StatusReplied)
		ask(replica, "grow", 13, none) // a reinstallation empties it, and keeps the limit
		ask(replica, "grow", 12, 0)
		wantStatus(t, replica.one(limits("", "StableBytes=65536")), StatusReplied) // is for new canisters
		ask(replica, "size", 0, 12)
		wantStatus(t, replica.one(change(KindStop, "s")), StatusReplied)
		wantStatus(t, replica.one(change(KindDelete, "s")), StatusReplied)
		wantStatus(t, replica.one(Message{Kind: KindInstall, Canister: "s", Module: module("")}), StatusReplied)
		ask(replica, "grow", 2, none)
		ask(replica, "grow", 1, 0)
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
}
