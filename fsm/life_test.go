package fsm

import (
	"strings"
	"testing"

	"lockstep/canister"
)

func install2(t testing.TB, kind Kind, name, more string) Message {
	t.Helper()
	return Message{Kind: kind, Canister: name, Module: puppet(t, more)}
}

func TestTimersGoOffByRoundTime(t *testing.T) {
	r := puppets(t, "a")
	wantReply(t, r.one(run("a", timer(1000)+reply(""))), "")
	if at, set := r.NextTimer(); !set || at != 1000 || r.HasWork() {
		t.Fatalf("next timer %d, %v; work %v", at, set, r.HasWork())
	}
	r.apply(&Round{Time: 999})
	if !r.HasWork() || r.count("a") != 0 {
		t.Fatalf("work %v, count %d just before its time", r.HasWork(), r.count("a"))
	}
	r.apply(&Round{Time: 999}) // is 1000: time never stands still
	if _, set := r.NextTimer(); set || r.HasWork() || r.count("a") != 100 {
		t.Fatalf("count %d", r.count("a"))
	}
	// Set to the past it goes off in the next round, before its messages; a stopped canister's waits.
	wantReply(t, r.one(run("a", timer(1)+reply(""))), "")
	wantNumber(t, r.one(run("a", replyCount)), 200)
	wantReply(t, r.one(run("a", timer(1)+reply(""))), "")
	round := r.apply(&Round{Messages: []Message{change(KindStop, "a")}}) // goes off before the stop
	wantStatus(t, round.Results[0], StatusReplied)
	wantStatus(t, r.one(change(KindStart, "a")), StatusReplied)
	wantNumber(t, r.one(run("a", timer(1)+replyCount)), 300)
	wantStatus(t, r.one(install2(t, KindReinstall, "a", "")), StatusReplied) // goes off, and is forgotten
	if _, set := r.NextTimer(); set || r.count("a") != 0 {
		t.Errorf("timer %v, count %d after an installation", set, r.count("a"))
	}
}

// Who waited for a stop that a start put an end to is told once, and not again by the next stop.
func TestAStartEndsAStopForGood(t *testing.T) {
	r := puppets(t, "a", "b", "c")
	message := r.one(run("a", ask(2, ask(3, reply("late")))))
	first := r.one(change(KindStop, "a"))
	wantStatus(t, first, StatusPending)
	started := r.apply(&Round{Messages: []Message{change(KindStart, "a"), change(KindStop, "a")}})
	told := map[Ref]int{}
	for _, c := range append(started.Completed, r.rest()...) {
		told[c.Ref]++
	}
	for _, ref := range []Ref{message.Ref, first.Ref} {
		if told[ref] != 1 {
			t.Errorf("%s was completed %d times", ref, told[ref])
		}
	}
}

// A timer that falls due while its canister is stopped goes off when it is started, and makes no round before.
func TestATimerOutlivesAStop(t *testing.T) {
	r := puppets(t, "a")
	wantReply(t, r.one(run("a", timer(1000)+reply(""))), "")
	wantStatus(t, r.one(change(KindStop, "a")), StatusReplied)
	r.apply(&Round{Time: 2000})
	if _, set := r.NextTimer(); set || r.HasWork() {
		t.Errorf("timer %v, work %v while it is stopped", set, r.HasWork())
	}
	wantStatus(t, r.one(change(KindStart, "a")), StatusReplied)
	r.apply(&Round{})
	if r.HasWork() || r.count("a") != 100 {
		t.Errorf("work %v, count %d after the start", r.HasWork(), r.count("a"))
	}
}

// A timer that falls due while the canister waits for as many responses as it may is not lost, and no round is made for it.
func TestATimerWaitsForResponses(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.Calls, r.state.Limits.TurnMessages = 1, 1
	wantReply(t, r.one(run("a", timer(1)+call{to: 2, arg: reply("")}.script()+reply(""))), "")
	if _, set := r.NextTimer(); set {
		t.Error("the timer is said to go off before the response")
	}
	r.apply(&Round{})
	if got := r.count("a"); got != 0 {
		t.Errorf("count %d before the response", got)
	}
	r.rest()
	if got := r.count("a"); got != 100 || r.HasWork() {
		t.Errorf("count %d when all is at rest; work %v", got, r.HasWork())
	}
}

// A client that gives no caller is the anonymous principal; the empty one is the management canister's.
func TestClientsWithoutACallerAreAnonymous(t *testing.T) {
	r := puppets(t, "a")
	wantReply(t, r.one(run("a", replyCaller)), "\x04")
	msg := run("a", replyCaller)
	msg.Caller = []byte("alice")
	wantReply(t, r.one(msg), "alice")
}

func TestHeartbeats(t *testing.T) {
	r := puppets(t, "a")
	r.state.Limits.HeartbeatRounds = 3
	wantStatus(t, r.one(install2(t, KindInstall, "heart", heartbeat)), StatusReplied)
	for range 9 {
		r.apply(&Round{})
	}
	if got := r.count("heart"); got != 3000 || r.count("a") != 0 || r.HasWork() {
		t.Errorf("count %d in nine rounds, work %v", got, r.HasWork())
	}
	r.state.Limits.HeartbeatRounds = 0
	r.apply(&Round{})
	if got := r.count("heart"); got != 3000 {
		t.Errorf("count %d without heartbeats", got)
	}
}

func TestStopWaitsForResponses(t *testing.T) {
	r := puppets(t, "a", "b")
	pending := r.one(run("a", ask(2, reply("late"))))
	wantStatus(t, pending, StatusPending)
	round := r.apply(&Round{Messages: []Message{change(KindStop, "a"), run("a", reply("")), change(KindStop, "a"), change(KindDelete, "a")}})
	wantStatus(t, round.Results[0], StatusPending)
	wantStatus(t, round.Results[1], StatusRefused)
	wantStatus(t, round.Results[2], StatusPending)
	if got := r.Status().Canisters[0].Life; got != Stopping {
		t.Fatalf("the canister is %s", got)
	}
	wantStatus(t, round.Results[3], StatusRefused)
	if done := r.rest(); len(done) != 3 || done[0].Ref != pending.Ref || done[1].Ref != round.Results[0].Ref {
		t.Errorf("completed %+v", done)
	}
	wantStatus(t, r.one(change(KindStop, "a")), StatusReplied)
	if got, err := r.Query(Query{Canister: "a", Method: "count"}); err != nil || got.Status != StatusRefused {
		t.Errorf("a query of a stopped canister: %+v, error %v", got, err)
	}
	wantStatus(t, r.one(change(KindDelete, "a")), StatusReplied)
	wantStatus(t, r.one(change(KindStop, "a")), StatusRefused)
	wantNumber(t, r.ends(run("b", ask(1, reply("")))), codeDestination)
	wantStatus(t, r.one(install2(t, KindInstall, "a", "")), StatusReplied)
	if got := r.Status().Canisters[1].ID; got != 3 {
		t.Errorf("the new canister has number %d", got)
	}
}

func TestStartAnswersThoseWhoWaitForAStop(t *testing.T) {
	r := puppets(t, "a", "b")
	pending := r.one(run("a", ask(2, reply("late"))))
	round := r.apply(&Round{Messages: []Message{change(KindStop, "a"), change(KindStart, "a"), run("a", reply("running"))}})
	if stop := round.Results[0]; stop.Status != StatusRejected || !strings.Contains(stop.Text, "started again") {
		t.Errorf("the stop ended %+v", stop)
	}
	wantReply(t, round.Results[2], "running")
	done := map[Ref]Result{}
	for _, c := range append(round.Completed, r.rest()...) {
		done[c.Ref] = c.Result
	}
	wantReply(t, done[pending.Ref], "late")
}

func TestCallsOfADeletedCanisterAreRejected(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.TurnMessages = 1
	wantStatus(t, r.one(change(KindStop, "b")), StatusReplied)
	codes := call{to: 2, onReject: count}.script()
	wantReply(t, r.one(run("a", codes+codes+codes+reply(""))), "")
	wantStatus(t, r.one(change(KindDelete, "b")), StatusReplied) // one call was turned away before it, two are still there
	r.rest()
	if got := r.count("a"); got != 3 || len(r.current.state.canister(1).Calls) != 0 {
		t.Errorf("%d calls were rejected, want 3", got)
	}
}

func TestUpgrade(t *testing.T) {
	r := puppets(t, "a", "b")
	pending := r.one(run("a", ask(2, reply("in time"))))
	refused := r.one(install2(t, KindUpgrade, "a", heartbeat))
	if refused.Status != StatusRefused || !strings.Contains(refused.Text, "stop it first") {
		t.Fatalf("an upgrade while calls are outstanding: %+v", refused)
	}
	done := r.rest()
	if len(done) != 1 || done[0].Ref != pending.Ref {
		t.Fatalf("completed %+v", done)
	}
	wantReply(t, done[0].Result, "in time")
	before := r.Status().Canisters[0]
	wantStatus(t, r.one(install2(t, KindUpgrade, "a", heartbeat)), StatusReplied)
	if after := r.Status().Canisters[0]; after.Module == before.Module || after.Version <= before.Version || after.ID != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	root := r.Latest()
	wantStatus(t, r.one(Message{Kind: KindUpgrade, Canister: "a", Module: []byte("\x00asm")}), StatusRefused)
	if r.Status().Canisters[0].Module == before.Module || r.Latest() == root {
		t.Error("a refused upgrade has changed something")
	}
	wantStatus(t, r.one(change(KindStop, "a")), StatusReplied)
	wantStatus(t, r.one(install2(t, KindUpgrade, "a", "")), StatusReplied)
	if got := r.Status().Canisters[0].Life; got != Stopped {
		t.Errorf("after an upgrade the stopped canister is %s", got)
	}
	wantStatus(t, r.one(install2(t, KindUpgrade, "nowhere", "")), StatusRefused)
}

func TestReinstallTellsWhoWaits(t *testing.T) {
	r := puppets(t, "a", "b")
	caller := r.one(run("b", ask(1, ask(2, reply("for nobody")))))
	client := r.one(run("a", ask(2, count+reply("for nobody"))))
	round := r.apply(&Round{Messages: []Message{install2(t, KindReinstall, "a", ""), run("a", count+replyCount)}})
	wantStatus(t, round.Results[0], StatusReplied)
	wantNumber(t, round.Results[1], 1)
	done := map[Ref]Result{}
	for _, c := range append(round.Completed, r.rest()...) {
		done[c.Ref] = c.Result
	}
	if got := done[client.Ref]; got.Status != StatusRejected || got.RejectCode != codeReject {
		t.Errorf("the client is told %+v", got)
	}
	wantNumber(t, done[caller.Ref], codeReject)
	if got := r.count("a"); got != 1 {
		t.Errorf("the new canister has counted %d", got)
	}
}

func TestControllers(t *testing.T) {
	r := puppets(t)
	msg := install2(t, KindInstall, "mine", "")
	msg.Caller = []byte("me")
	wantStatus(t, r.one(msg), StatusReplied)
	for _, kind := range []Kind{KindStop, KindStart, KindDelete} {
		if got := r.one(change(kind, "mine")); got.Status != StatusRefused || !strings.Contains(got.Text, "not a controller") {
			t.Errorf("%s by a stranger: %+v", kind, got)
		}
	}
	for _, kind := range []Kind{KindUpgrade, KindReinstall} {
		if got := r.one(install2(t, kind, "mine", "")); got.Status != StatusRefused {
			t.Errorf("%s by a stranger: %+v", kind, got)
		}
	}
	for _, kind := range []Kind{KindStop, KindDelete} {
		msg := change(kind, "mine")
		msg.Caller = []byte("me")
		wantStatus(t, r.one(msg), StatusReplied)
	}
}

// Queries on an older state go on while its canister is replaced or deleted; what nobody needs is closed and dropped.
func TestReplacedCanistersAreClosedAfterTheirQueries(t *testing.T) {
	r := puppets(t, "a")
	wantReply(t, r.one(run("a", count+reply(""))), "")
	held, err := r.acquire()
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, r.one(install2(t, KindReinstall, "a", "")), StatusReplied)
	wantStatus(t, r.one(change(KindStop, "a")), StatusReplied)
	wantStatus(t, r.one(change(KindDelete, "a")), StatusReplied)
	wantNumber(t, must(r.query(held, Query{Canister: "a", Method: "count"})).Result, 1)
	if got := len(r.current.world.live); got != 2 {
		t.Errorf("%d live canisters, want both", got)
	}
	if err := r.release(held); err != nil {
		t.Fatal(err)
	}
	for range 40 { // earlier states are kept for comparing
		r.apply(&Round{})
	}
	if got := len(r.current.world.live); got != 0 {
		t.Errorf("%d live canisters, want none", got)
	}
	if stats := r.pages.Stats(); stats.Live != 0 {
		t.Errorf("%d pages are left of a deleted canister", stats.Live)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const pickyWAT = `
(module
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "msg_method_name_size" (func $size (result i32)))
  (memory 1)
  (func (export "canister_update in"))
  (func (export "canister_update not"))
  (func (export "canister_inspect_message") (if (i32.eq (call $size) (i32.const 2)) (then (call $accept)))))`

func TestInspect(t *testing.T) {
	r := puppets(t, "a")
	module := must(canister.ParseWAT([]byte(pickyWAT)))
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "picky", Module: module}), StatusReplied)
	for _, c := range []struct {
		canister, method string
		want             bool
	}{{"picky", "in", true}, {"picky", "not", false}, {"a", "run", true}, {"nowhere", "x", true}} {
		msg := update(c.canister, c.method, "")
		refusal, err := r.Inspect(&msg)
		if err != nil || (refusal == "") != c.want {
			t.Errorf("%s of %s: refusal %q, error %v", c.method, c.canister, refusal, err)
		}
	}
	wantStatus(t, r.one(update("picky", "not", "")), StatusNoReply) // a round is not stopped by it
}

const composerWAT = `
(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $pass (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) $on_reply $on_reject)
  (data (i32.const 100) "countask")
  (func $on_reply (param i32)
    (call $copy (i32.const 0) (i32.const 0) (call $size))
    (call $append (i32.const 0) (call $size))
    (call $reply))
  (func $on_reject (param i32)
    (i64.store (i32.const 0) (i64.extend_i32_u (call $code)))
    (call $append (i32.const 0) (i32.const 8))
    (call $reply))
  (func $call (param $method i32) (param $len i32)
    (call $copy (i32.const 0) (i32.const 0) (call $size))
    (call $new (i32.const 0) (call $size) (local.get $method) (local.get $len) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $pass (i32.const 0) (call $size))
    (drop (call $perform)))
  (func (export "canister_composite_query ask") (call $call (i32.const 105) (i32.const 3)))
  (func (export "canister_composite_query get") (call $call (i32.const 100) (i32.const 5))))`

func TestCompositeQueries(t *testing.T) {
	r := puppets(t, "a")
	module := must(canister.ParseWAT([]byte(composerWAT)))
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "composer", Module: module}), StatusReplied)
	wantReply(t, r.one(run("a", count+count+reply(""))), "")
	ask := func(method string, of CanisterID) Result {
		return must(r.Query(Query{Canister: "composer", Method: method, Arg: canister.Principal(uint64(of))})).Result
	}
	wantNumber(t, ask("get", 1), 2)
	wantNumber(t, ask("get", 9), codeDestination)
	wantNumber(t, ask("get", 2), codeError)     // no such method
	wantNumber(t, ask("ask", 2), codeTransient) // without an end
	wantStatus(t, r.one(change(KindStop, "a")), StatusReplied)
	wantNumber(t, ask("get", 1), codeError)
}
