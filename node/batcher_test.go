package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// fakeRaft takes rounds and answers each when told.
type fakeRaft struct{ proposed chan *fakeRound }

type fakeRound struct {
	round  *fsm.Round
	answer chan any // an error, or the response
	index  uint64
	result any
}

func (f *fakeRaft) Apply(cmd []byte, _ time.Duration) raft.ApplyFuture {
	round, err := fsm.DecodeRound(cmd)
	if err != nil {
		panic(err)
	}
	r := &fakeRound{round: round, answer: make(chan any, 1)}
	f.proposed <- r
	return r
}

func (r *fakeRound) Error() error {
	switch a := (<-r.answer).(type) {
	case error:
		return a
	default:
		r.result = a
		return nil
	}
}
func (r *fakeRound) Response() any { return r.result }
func (r *fakeRound) Index() uint64 { return r.index }

// applied answers every message with its own argument.
func (r *fakeRound) applied(number fsm.RoundNumber) {
	out := &fsm.RoundResult{Round: number, Index: uint64(number)}
	for _, m := range r.round.Messages {
		out.Results = append(out.Results, fsm.Result{Status: fsm.StatusReplied, Reply: m.Arg, Round: number})
	}
	r.answer <- out
}

func testBatcher(t *testing.T, change func(*Config)) (*batcher, *fakeRaft) {
	t.Helper()
	cfg := Config{RoundMessages: 3, RoundBytes: 1 << 20, RoundsInFlight: 2, QueueMessages: 8}.WithDefaults()
	if change != nil {
		change(&cfg)
	}
	r := &fakeRaft{proposed: make(chan *fakeRound, 16)}
	b := newBatcher(&cfg, r, func() fsm.Attestation { return fsm.Attestation{Round: 7} }, newMetrics("n1", slog.New(slog.DiscardHandler)))
	b.start()
	t.Cleanup(func() {
		if err := b.close(context.Background(), errStopping); err != nil {
			t.Error(err)
		}
	})
	return b, r
}

func message(arg string) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: "c", Method: "m", Arg: []byte(arg)}
}

// queued waits until n messages wait.
func queued(b *batcher, n int) {
	for {
		b.mu.Lock()
		waiting := b.waiting
		b.mu.Unlock()
		if waiting == n {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func TestBatcherRounds(t *testing.T) {
	b, r := testBatcher(t, nil)
	var callers sync.WaitGroup
	send := func(arg string) {
		callers.Go(func() {
			a, err := b.submit(context.Background(), message(arg))
			if err != nil || string(a.Reply) != arg {
				t.Errorf("%s got %q, %v", arg, a.Reply, err)
			}
		})
	}
	send("a") // leaves alone and at once
	first := <-r.proposed
	send("b")
	second := <-r.proposed
	if len(first.round.Messages) != 1 || len(second.round.Messages) != 1 || first.round.Attested.Round != 7 || first.round.Time == 0 {
		t.Fatalf("rounds %+v %+v", first.round, second.round)
	}
	for i := range 4 { // two rounds are in flight: these wait
		send(fmt.Sprint(i))
	}
	queued(b, 4)
	second.applied(2)
	third := <-r.proposed
	if n := len(third.round.Messages); n != 3 {
		t.Fatalf("a round takes what waits up to the limit: %d messages, want 3", n)
	}
	first.applied(1)
	fourth := <-r.proposed
	third.applied(3)
	fourth.applied(4)
	callers.Wait()
}

func TestBatcherByteLimit(t *testing.T) {
	b, r := testBatcher(t, func(cfg *Config) { cfg.RoundsInFlight, cfg.RoundBytes = 1, 500 })
	var callers sync.WaitGroup
	send := func(size int) {
		callers.Go(func() {
			if _, err := b.submit(context.Background(), message(string(make([]byte, size)))); err != nil {
				t.Error(err)
			}
		})
	}
	send(1)
	round := <-r.proposed
	for i, size := range []int{1000, 150, 150, 150} { // one too large for any round, then two that fit and one that does not
		send(size)
		queued(b, i+1)
	}
	for number, want := range []int{1, 1, 2, 1} {
		if n := len(round.round.Messages); n != want {
			t.Errorf("round %d has %d messages, want %d", number, n, want)
		}
		round.applied(fsm.RoundNumber(number + 1))
		if number < 3 {
			round = <-r.proposed
		}
	}
	callers.Wait()
}

func TestBatcherOutcomes(t *testing.T) {
	storage := &StorageError{Op: "write", Err: errBroken}
	for _, tc := range []struct {
		answer any
		want   Outcome
		is     error
	}{
		{raft.ErrNotLeader, OutcomeRefused, errNotLeader},
		{raft.ErrEnqueueTimeout, OutcomeRefused, errBusy},
		{raft.ErrLeadershipTransferInProgress, OutcomeRefused, errNotLeader},
		{raft.ErrLeadershipLost, OutcomeUnknown, nil},
		{raft.ErrRaftShutdown, OutcomeUnknown, nil},
		{storage, OutcomeUnknown, errBroken},
	} {
		b, r := testBatcher(t, nil)
		done := make(chan error, 1)
		go func() {
			_, err := b.submit(context.Background(), message("a"))
			done <- err
		}()
		(<-r.proposed).answer <- tc.answer
		err := <-done
		if OutcomeOf(err) != tc.want || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%v became %v (%s), want %s", tc.answer, err, OutcomeOf(err), tc.want)
		}
	}
}

// An error of the state machine arrives as raft's response, not as raft's error.
func TestBatcherStoppedMachine(t *testing.T) {
	err := classifyResponse(t, &stoppedFuture{response: errBroken})
	if OutcomeOf(err) != OutcomeUnknown || !errors.Is(err, errBroken) {
		t.Errorf("%v (%s)", err, OutcomeOf(err))
	}
}

type stoppedFuture struct{ response any }

func (f *stoppedFuture) Error() error  { return nil }
func (f *stoppedFuture) Response() any { return f.response }
func (f *stoppedFuture) Index() uint64 { return 1 }

func classifyResponse(t *testing.T, f raft.ApplyFuture) error {
	t.Helper()
	_, err := awaitRound(f)
	return err
}

func TestBatcherGivingUp(t *testing.T) {
	b, r := testBatcher(t, func(cfg *Config) { cfg.RoundsInFlight = 1 })
	ctx, cancel := context.WithCancel(context.Background())
	inFlight, waiting := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := b.submit(ctx, message("in flight"))
		inFlight <- err
	}()
	round := <-r.proposed
	go func() {
		_, err := b.submit(ctx, message("waiting"))
		waiting <- err
	}()
	queued(b, 1)
	cancel()
	if err := <-inFlight; OutcomeOf(err) != OutcomeUnknown || !errors.Is(err, context.Canceled) {
		t.Errorf("in flight: %v (%s), want unknown", err, OutcomeOf(err))
	}
	if err := <-waiting; OutcomeOf(err) != OutcomeRefused || !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v (%s), want refused", err, OutcomeOf(err))
	}
	round.applied(1)
	if err := b.close(context.Background(), errStopping); err != nil {
		t.Fatal(err)
	}
	if _, err := b.submit(context.Background(), message("late")); OutcomeOf(err) != OutcomeRefused || !errors.Is(err, errStopping) {
		t.Errorf("after close: %v", err)
	}
	select {
	case r := <-r.proposed:
		t.Errorf("a message that was given up left in a round: %+v", r.round)
	default:
	}
}

// A replica that does not lead sleeps until a message comes; one that leads looks when a timer is due, and now and then.
func TestOnlyALeaderLooksForWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked, leads := 0, make(chan bool)
		var until time.Duration
		cfg := Config{}.WithDefaults()
		b := newBatcher(&cfg, &fakeRaft{}, nil, newMetrics("n1", slog.New(slog.DiscardHandler)))
		b.work, b.leads = func() time.Duration { looked++; return until }, leads
		b.start()
		for _, is := range []struct {
			leader      bool
			until       time.Duration
			least, most int
		}{{false, time.Hour, 0, 1}, {true, time.Hour, 9, 10}, {true, 30 * time.Millisecond, 33, 34}, {false, time.Millisecond, 0, 1}} {
			until = is.until
			leads <- is.leader
			before := looked
			time.Sleep(time.Second - lookAgain/2)
			synctest.Wait()
			if n := looked - before; n < is.least || n > is.most {
				t.Errorf("leader %v: looked %d times in a second", is.leader, n)
			}
		}
		if err := b.close(t.Context(), errStopping); err != nil {
			t.Error(err)
		}
	})
}
