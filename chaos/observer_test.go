package chaos

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"lockstep/fsm"
)

// scriptedReplica is a replica that knows the roots of rounds first to last.
type scriptedReplica struct {
	mu          sync.Mutex
	incarnation string
	first, last fsm.RoundNumber
	wrong       fsm.RoundNumber // the round with another root
	installs    uint64
	checkpoints uint64
	failed      uint64
	process     string
	down        bool
	stopped     string
	hanging     chan struct{} // if not nil, gets a value when a question begins that is answered only by its end
}

func (r *scriptedReplica) set(change func(r *scriptedReplica)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *scriptedReplica) root(round fsm.RoundNumber) fsm.Attestation {
	if round == r.wrong {
		return att(round, 1)
	}
	return att(round, 0)
}

func (r *scriptedReplica) Report(ctx context.Context) (ReplicaReport, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hanging != nil {
		r.hanging <- struct{}{}
		<-ctx.Done()
		return ReplicaReport{}, ctx.Err()
	}
	if r.down {
		return ReplicaReport{}, errors.New("down")
	}
	return ReplicaReport{Incarnation: r.incarnation, Round: r.last, Root: Root(r.root(r.last).Root), Stopped: r.stopped}, nil
}

func (r *scriptedReplica) Counters(context.Context) (ReplicaCounters, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ReplicaCounters{Process: r.process, Failed: r.failed, Checkpoints: r.checkpoints, Installs: r.installs}, nil
}

func (r *scriptedReplica) Roots(_ context.Context, from fsm.RoundNumber, limit int) ([]fsm.Attestation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []fsm.Attestation
	for round := max(from, r.first); round <= r.last && len(out) < limit; round++ {
		out = append(out, r.root(round))
	}
	return out, nil
}

func observe(t *testing.T, from fsm.RoundNumber, replicas ...*scriptedReplica) *Observer {
	c := ObserverConfig{From: from, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	for i, r := range replicas {
		c.Names = append(c.Names, []string{"n1", "n2", "n3"}[i])
		c.Replicas = append(c.Replicas, r)
	}
	o := StartObserver(c)
	t.Cleanup(o.Stop)
	return o
}

// eventuallySettled waits until all replicas are known to be at the same round after what the test did so far.
func eventuallySettled(t *testing.T, o *Observer) {
	t.Helper()
	now := time.Now()
	eventually(t, "settled", func() bool { return o.Settled(now) })
}

// The question that the observer's own end breaks off does not make a replica unreachable.
func TestObserverEndsInTheMiddleOfAQuestion(t *testing.T) {
	r := &scriptedReplica{incarnation: "a", process: "a", first: 1, last: 5}
	o := observe(t, 0, r)
	eventuallySettled(t, o)
	hanging := make(chan struct{})
	r.set(func(r *scriptedReplica) { r.hanging = hanging })
	<-hanging
	o.Stop()
	if v := o.Views()[0]; !v.Reachable || v.Reported != 5 {
		t.Errorf("view %+v", v)
	}
}

func TestObserverComparesEveryRound(t *testing.T) {
	n1, n2 := &scriptedReplica{incarnation: "1", first: 1}, &scriptedReplica{incarnation: "2", first: 1}
	o := observe(t, 0, n1, n2)
	eventuallySettled(t, o)
	n1.set(func(r *scriptedReplica) { r.last = 3 * rootsAtOnce })
	eventually(t, "n1 is ahead", func() bool { return o.Views()[0].Reported == 3*rootsAtOnce })
	if o.Settled(time.Time{}) {
		t.Error("settled while n2 is behind")
	}
	n2.set(func(r *scriptedReplica) { r.last = 3 * rootsAtOnce })
	eventuallySettled(t, o)
	if c := o.Counts(); c.Compared() != 3*rootsAtOnce || c.Unproven() != 0 {
		t.Errorf("got %+v", c)
	}
	n2.set(func(r *scriptedReplica) { r.down = true })
	eventually(t, "not settled while n2 is down", func() bool { return !o.Settled(time.Time{}) })
}

func TestObserverFindsDisagreement(t *testing.T) {
	n1, n2 := &scriptedReplica{incarnation: "1", first: 1, last: 9000}, &scriptedReplica{incarnation: "2", first: 1, last: 9000, wrong: 8111}
	o := observe(t, 0, n1, n2)
	eventuallyDisagreed(t, o)
	if d := o.Disagreement(); d == nil || d.Round != 8111 {
		t.Errorf("got %v, want round 8111", d)
	}
}

func TestObserverComparesReplayedRounds(t *testing.T) {
	n1, n2 := &scriptedReplica{incarnation: "1", first: 1, last: 100}, &scriptedReplica{incarnation: "2", first: 1, last: 100}
	o := observe(t, 0, n1, n2)
	eventuallySettled(t, o)
	// A new process that has already replayed everything when it is asked for the first time.
	n2.set(func(r *scriptedReplica) { r.incarnation, r.first, r.last = "3", 51, 120 })
	n1.set(func(r *scriptedReplica) { r.last = 120 })
	eventuallySettled(t, o)
	c := o.Counts()
	if c.Compared() != 120 || c.Replicas[1].Repeated != 50 || c.Replicas[1].Skipped != 0 {
		t.Errorf("got %+v, want 50 repeated, none skipped", c)
	}
	n2.set(func(r *scriptedReplica) { r.incarnation, r.wrong = "4", 77 })
	eventuallyDisagreed(t, o)
	if d := o.Disagreement(); d.Round != 77 {
		t.Errorf("got %v, want round 77", d)
	}
}

func TestObserverTellsSkippedFromUnknown(t *testing.T) {
	n1, n2 := &scriptedReplica{incarnation: "1", first: 1, last: 10}, &scriptedReplica{incarnation: "2", first: 1, last: 10}
	o := observe(t, 0, n1, n2)
	eventuallySettled(t, o)
	// n2 is sent a checkpoint of round 20; n1 has forgotten the roots of rounds 11 to 30.
	n2.set(func(r *scriptedReplica) { r.installs, r.first, r.last = 1, 21, 40 })
	n1.set(func(r *scriptedReplica) { r.first, r.last = 31, 40 })
	eventuallySettled(t, o)
	c := o.Counts()
	if c.Replicas[1].Skipped != 10 || c.Missing(1) != 0 || c.Replicas[0].Skipped != 0 || c.Missing(0) != 20 {
		t.Errorf("got %+v, want 10 skipped by n2 and 20 unknown of n1", c)
	}
	if c.Compared() != 20 || c.Unproven() != 20 {
		t.Errorf("compared %d, unproven %d", c.Compared(), c.Unproven())
	}
	if v := o.Views()[1]; v.Counters.Installs != 1 {
		t.Errorf("got %+v, want one install", v)
	}
}

func TestObserverCountsOverProcesses(t *testing.T) {
	n1 := &scriptedReplica{incarnation: "1", checkpoints: 4}
	o := observe(t, 0, n1)
	eventuallySettled(t, o)
	n1.set(func(r *scriptedReplica) { r.checkpoints = 5 })
	eventually(t, "5 checkpoints", func() bool { return o.Views()[0].Counters.Checkpoints == 5 })
	// It cut its log and went on, in the same process: what was counted is not counted again.
	n1.set(func(r *scriptedReplica) { r.incarnation, r.failed = "1 again", 3 })
	eventually(t, "3 failures", func() bool { return o.Views()[0].Counters.Failed == 3 })
	if got := o.Views()[0].Counters.Checkpoints; got != 5 {
		t.Errorf("%d checkpoints after a restart inside the process, want 5", got)
	}
	n1.set(func(r *scriptedReplica) { r.incarnation, r.process, r.checkpoints = "2", "2", 2 })
	eventually(t, "7 checkpoints", func() bool { return o.Views()[0].Counters.Checkpoints == 7 })
	n1.set(func(r *scriptedReplica) { r.stopped = "disk" })
	eventually(t, "not settled", func() bool { return !o.Settled(time.Time{}) })
	n1.set(func(r *scriptedReplica) { r.checkpoints = 3 })
	o.Finish(t.Context())
	if got := o.Views()[0].Counters.Checkpoints; got != 8 {
		t.Errorf("after Finish %d checkpoints, want 8", got)
	}
}

// eventuallyDisagreed waits until the observer says that replicas disagree.
func eventuallyDisagreed(t *testing.T, o *Observer) {
	t.Helper()
	eventually(t, "disagreed", func() bool {
		select {
		case <-o.Disagreed():
			return true
		default:
			return false
		}
	})
}
