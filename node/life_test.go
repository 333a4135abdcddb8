package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// relay answers after a call of itself; its timer counts, and start sets it.
const relayWAT = `
(module
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table 1 funcref)
  (elem (i32.const 0) $answered)
  (data (i32.const 100) "inner")
  (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func $answered (param i32) (call $answer))
  (func (export "canister_update relay")
    (call $self (i32.const 200) (i32.const 0) (i32.const 10))
    (call $new (i32.const 200) (i32.const 10) (i32.const 100) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_update inner")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
    (call $reply))
  (func (export "canister_update start")
    (drop (call $timer (i64.add (call $time) (i64.const 1000000))))
    (call $reply))
  (func (export "canister_global_timer")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 100))))
  (func (export "canister_query count") (call $answer)))`

// Rounds without messages carry calls and timers on; a canister can be stopped, upgraded and deleted.
func TestCallsTimersAndLife(t *testing.T) {
	c := startCluster(t, 3, nil)
	client := c.client()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	do := func(m fsm.Message, want fsm.Status) Response {
		t.Helper()
		r, err := client.Change(ctx, "relay", m)
		if err != nil || r.Status != want {
			t.Fatalf("%s: %+v, error %v", m.Kind, r, err)
		}
		return r
	}
	do(fsm.Message{Kind: fsm.KindInstall, Module: []byte(relayWAT)}, fsm.StatusReplied)
	if r, err := client.Update(ctx, "relay", "relay", nil); err != nil || count(r) != 1 {
		t.Fatalf("%+v, error %v", r, err)
	}
	session, err := client.OpenSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := session.Update(ctx, "relay", "relay", nil); err != nil || count(r) != 2 {
		t.Fatalf("%+v, error %v", r, err)
	}
	if _, err := client.Update(ctx, "relay", "start", nil); err != nil {
		t.Fatal(err)
	}
	c.eventually("the timer has counted", func() bool {
		r, err := client.Query(ctx, "relay", "count", nil)
		return err == nil && count(r) == 102
	})
	do(fsm.Message{Kind: fsm.KindDelete}, fsm.StatusRefused)
	do(fsm.Message{Kind: fsm.KindStop}, fsm.StatusReplied)
	if r, err := client.Update(ctx, "relay", "relay", nil); err != nil || r.Status != fsm.StatusRefused {
		t.Fatalf("a stopped canister: %+v, error %v", r, err)
	}
	do(fsm.Message{Kind: fsm.KindUpgrade, Module: []byte(relayWAT)}, fsm.StatusReplied)
	do(fsm.Message{Kind: fsm.KindStart}, fsm.StatusReplied)
	if r, err := client.Update(ctx, "relay", "relay", nil); err != nil || count(r) != 1 {
		t.Fatalf("after the upgrade: %+v, error %v", r, err)
	}
	do(fsm.Message{Kind: fsm.KindStop}, fsm.StatusReplied)
	do(fsm.Message{Kind: fsm.KindDelete}, fsm.StatusReplied)
	do(fsm.Message{Kind: fsm.KindDelete}, fsm.StatusRefused)
}

// While there is work and nothing waits, one round without messages is on its way at a time; a message that is pending is
// answered with its end.
func TestBatcherDrivesWork(t *testing.T) {
	b, r := testBatcher(t, nil)
	var work atomic.Bool
	b.mu.Lock()
	b.work = while(&work)
	b.await = func(_ context.Context, ref fsm.Ref) (fsm.Answer, error) {
		return fsm.Answer{Result: fsm.Result{Status: fsm.StatusReplied, Reply: []byte(ref.String())}, Index: 9}, nil
	}
	b.mu.Unlock()
	work.Store(true)
	for number := range fsm.RoundNumber(3) {
		round := <-r.proposed
		if len(round.round.Messages) != 0 || len(r.proposed) != 0 {
			t.Fatalf("%d messages, %d more rounds", len(round.round.Messages), len(r.proposed))
		}
		work.Store(number < 2)
		round.applied(number)
	}
	answered := make(chan Answer, 1)
	go func() {
		a, _ := b.submit(context.Background(), message("x"))
		answered <- a
	}()
	round := <-r.proposed
	ref := fsm.Ref{Round: 4}
	round.answer <- &fsm.RoundResult{Round: 4, Results: []fsm.Result{{Status: fsm.StatusPending, Ref: ref, Round: 4}}}
	if a := <-answered; string(a.Reply) != ref.String() || a.Index != 9 {
		t.Errorf("answer %+v", a)
	}
}

// A round without messages that raft refuses, as a leader does that is handing over, is not tried again at once: every look of the
// batcher makes one.
func TestBatcherRefusedWorkWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := testBatcher(t, nil)
		var work atomic.Bool
		var refused atomic.Int64
		b.mu.Lock()
		b.work = while(&work)
		b.mu.Unlock()
		work.Store(true)
		const looks = 10
		go func() {
			for round := range r.proposed {
				if refused.Add(1) > 2*looks {
					work.Store(false) // time would stand still for ever
				}
				round.answer <- raft.ErrLeadershipTransferInProgress
			}
		}()
		time.Sleep(looks*lookAgain + lookAgain/2)
		synctest.Wait()
		if n := refused.Load(); n != looks {
			t.Errorf("%d rounds were proposed in %d looks", n, looks)
		}
		work.Store(false)
		if err := b.close(context.Background(), errStopping); err != nil {
			t.Error(err)
		}
		close(r.proposed)
	})
}

// while is work for as long as a flag is set.
func while(work *atomic.Bool) func() time.Duration {
	return func() time.Duration {
		if work.Load() {
			return 0
		}
		return lookAtMost
	}
}
