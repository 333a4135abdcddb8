package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lockstep/fsm"
)

// ReplicaReport is what a replica says about itself at one moment.
type ReplicaReport struct {
	// Incarnation is another text whenever the replica has been started again.
	Incarnation string
	// Role is its part in Raft (leader, follower, candidate), in Term.
	Role string
	Term uint64
	// Round is the newest round that it has applied, Root the state's root after it.
	Round fsm.RoundNumber
	Root  Root
	// Checkpoint is the round of its newest checkpoint on disk, 0 for none or unknown.
	Checkpoint fsm.RoundNumber
	// CheckpointFailure is why its last try to take one failed; "" when it did not.
	CheckpointFailure string
	// Joining is whether its folder was new and it has not caught up yet. PID is its process, 0 for unknown.
	Joining bool
	PID     int
	// Stopped says why it has stopped applying rounds for good; "" while it has not. Diverged is set when the reason is
	// that its state is not the one that the leader attests.
	Stopped  string
	Diverged bool
}

// ReplicaCounters are what a replica counts since its process started.
type ReplicaCounters struct {
	// Process is another text whenever another process counts.
	Process string
	// Checkpoints counts those it has written, Failed those that it could not write, Installs those it was sent by a leader.
	Checkpoints, Failed, Installs uint64
}

// Replica is one replica as an Observer sees it.
type Replica interface {
	Report(ctx context.Context) (ReplicaReport, error)
	Counters(ctx context.Context) (ReplicaCounters, error)
	// Roots gives the roots of at most limit rounds from a round on, ascending and without gaps. It begins later than
	// asked if the replica does not know the earlier ones.
	Roots(ctx context.Context, from fsm.RoundNumber, limit int) ([]fsm.Attestation, error)
}

// ReplicaView is what an Observer knows about a replica.
type ReplicaView struct {
	Name string
	// Reachable is whether the last question was answered; Report is from the last answer, Asked when it was asked.
	Reachable bool
	Report    ReplicaReport
	Asked     time.Time
	// Reported is the newest round whose root the replica has reported, and Root that root.
	Reported fsm.RoundNumber
	Root     Root
	// Counters are summed over the replica's processes, as far as they were seen.
	Counters ReplicaCounters
}

// ObserverConfig says whom to observe.
type ObserverConfig struct {
	Names    []string
	Replicas []Replica
	// From is as in AgreementConfig.
	From fsm.RoundNumber
	// Every is the pause between two questions to one replica; 0 means 100 ms. Timeout bounds the answer; 0 means 2 s.
	Every, Timeout time.Duration
	Log            *slog.Logger
}

// Observer asks every replica again and again for its state and the roots of its rounds, and has an Agreement judge
// them. One goroutine a replica runs from StartObserver to Stop.
type Observer struct {
	cfg       ObserverConfig
	cancel    context.CancelFunc
	running   sync.WaitGroup
	disagreed chan struct{} // closed at the first disagreement

	mu        sync.Mutex
	agreement *Agreement
	views     []ReplicaView
	watchers  []*watcher
}

// rootsAtOnce bounds the roots asked for in one question; countersEvery is how often counters are asked for.
const (
	rootsAtOnce   = 4096
	countersEvery = time.Second
)

// StartObserver begins to ask.
//
// Preconditions: as many names as replicas.
func StartObserver(c ObserverConfig) *Observer {
	if c.Every == 0 {
		c.Every = 100 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &Observer{
		cfg: c, cancel: cancel, disagreed: make(chan struct{}),
		agreement: NewAgreement(AgreementConfig{Replicas: c.Names, From: c.From}),
	}
	for i, name := range c.Names {
		o.views = append(o.views, ReplicaView{Name: name})
		o.watchers = append(o.watchers, &watcher{Observer: o, replica: i, next: 1})
	}
	for _, w := range o.watchers {
		o.running.Go(func() { w.watch(ctx) })
	}
	return o
}

// Stop ends the questions; what is known stays. It may be called again.
func (o *Observer) Stop() {
	o.cancel()
	o.running.Wait()
}

// Finish ends the questions with a last one for the counters.
func (o *Observer) Finish(ctx context.Context) {
	o.Stop()
	for i, w := range o.watchers {
		if err := w.count(ctx); err != nil {
			o.cfg.Log.Debug("replica's counters are not the last", "node", o.cfg.Names[i], "err", err)
		}
	}
}

// Disagreed is closed when two replicas disagree.
func (o *Observer) Disagreed() <-chan struct{} { return o.disagreed }

// Disagreement is the first one, or nil.
func (o *Observer) Disagreement() *Disagreement {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.agreement.Disagreement()
}

// Counts says what was compared so far.
func (o *Observer) Counts() AgreementCounts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.agreement.Counts()
}

// Views is what is known about the replicas now, in the order of ObserverConfig.
func (o *Observer) Views() []ReplicaView {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]ReplicaView(nil), o.views...)
}

// watcher is the state of one replica's questions. It is used by its goroutine, and after that has ended by Finish.
type watcher struct {
	*Observer
	replica int
	// next is the round to ask for. fresh is set while the replica may have gone on from a checkpoint since the last
	// root: then a gap in its roots is a skip, otherwise it is only unknown.
	next     fsm.RoundNumber
	fresh    bool
	last     ReplicaReport // of the last answer, answered says that there was one
	answered bool
	counters ReplicaCounters // of the present process
	counted  time.Time
}

// watch asks the replica until ctx ends.
func (w *watcher) watch(ctx context.Context) {
	tick := time.NewTicker(w.cfg.Every)
	defer tick.Stop()
	for {
		err := w.ask(ctx)
		if ctx.Err() != nil {
			return // a question that was broken off says nothing about the replica
		}
		w.mu.Lock()
		w.views[w.replica].Reachable = err == nil
		w.mu.Unlock()
		if err != nil {
			w.cfg.Log.Debug("replica does not answer", "node", w.cfg.Names[w.replica], "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask asks for the state once, and for all roots that are new.
func (w *watcher) ask(ctx context.Context) error {
	asked := time.Now()
	report, err := w.report(ctx)
	if err != nil {
		return err
	}
	if !w.answered || report.Incarnation != w.last.Incarnation || report.Round+1 < w.next {
		// It went on from a checkpoint and replays what came after. Compare that again from the start.
		w.next, w.fresh = 1, true
	}
	w.last, w.answered = report, true
	w.mu.Lock()
	w.views[w.replica].Report = report
	w.mu.Unlock()
	if asked.Sub(w.counted) > countersEvery {
		if err := w.count(ctx); err != nil {
			return err
		}
		w.counted = asked
	}
	if err := w.follow(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.views[w.replica].Asked = asked
	return nil
}

// follow asks for roots until there are no new ones.
func (w *watcher) follow(ctx context.Context) error {
	for {
		roots, err := w.roots(ctx)
		if err != nil || len(roots) == 0 {
			return err
		}
		if roots[0].Round > w.next && !w.fresh {
			if err := w.count(ctx); err != nil { // it may have been sent a checkpoint
				return err
			}
		}
		if err := w.take(roots); err != nil || len(roots) < rootsAtOnce {
			return err
		}
	}
}

func (w *watcher) report(ctx context.Context) (ReplicaReport, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.cfg.Replicas[w.replica].Report(ctx)
}

func (w *watcher) roots(ctx context.Context) ([]fsm.Attestation, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.cfg.Replicas[w.replica].Roots(ctx, w.next, rootsAtOnce)
}

// count asks for the counters and adds what is new. A checkpoint that was installed makes a gap in the roots a skip.
func (w *watcher) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	now, err := w.cfg.Replicas[w.replica].Counters(ctx)
	if err != nil {
		return err
	}
	if now.Process != w.counters.Process {
		w.counters = ReplicaCounters{}
	}
	if now.Installs > w.counters.Installs {
		w.fresh = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := &w.views[w.replica].Counters
	sum.Checkpoints += now.Checkpoints - min(w.counters.Checkpoints, now.Checkpoints)
	sum.Failed += now.Failed - min(w.counters.Failed, now.Failed)
	sum.Installs += now.Installs - min(w.counters.Installs, now.Installs)
	w.counters = now
	return nil
}

var errRoots = errors.New("the replica's list of roots is not in order")

// take hands the roots to the agreement, and what the replica skipped before them.
func (w *watcher) take(roots []fsm.Attestation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if first := roots[0].Round; first > w.next && w.fresh {
		w.agreement.Skip(w.replica, w.next, first-1)
	}
	for _, att := range roots {
		if att.Round < w.next {
			return fmt.Errorf("%w: round %d where %d or later was due", errRoots, att.Round, w.next)
		}
		if w.agreement.Disagreement() == nil && w.agreement.Report(w.replica, att) != nil {
			close(w.disagreed)
		}
		w.next = att.Round + 1
	}
	last := roots[len(roots)-1]
	w.fresh = false
	v := &w.views[w.replica]
	v.Reported, v.Root = last.Round, Root(last.Root)
	return nil
}

// Settled reports whether every replica has been asked after a moment, applies rounds, and has reported its roots up to
// the newest round that any of them knows.
func (o *Observer) Settled(after time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	newest := max(o.agreement.Newest(), o.cfg.From)
	for _, v := range o.views {
		if !v.Reachable || !v.Asked.After(after) || v.Report.Stopped != "" || v.Report.Round != newest || v.Reported != newest && newest > 0 {
			return false
		}
	}
	return true
}
