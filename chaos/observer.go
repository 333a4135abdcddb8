package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// ReplicaReport is what a replica says about itself at one moment.
type ReplicaReport struct {
	// PID is the replica's process; another number means that it was started again.
	PID int
	// Role is its part in Raft (leader, follower, candidate), in Term.
	Role string
	Term uint64
	// Round is the newest round that it has applied, Root the state's root after it.
	Round fsm.RoundNumber
	Root  pagetrie.Hash
	// Checkpoint is the round of its newest checkpoint on disk, 0 for none.
	Checkpoint fsm.RoundNumber
	// Checkpoints counts those it has written, Installs those it was sent by a leader, since its process started.
	Checkpoints, Installs uint64
	// Stopped says why it has stopped applying rounds for good; "" while it has not. Diverged is set when the reason is
	// that its state is not the one that the leader attests.
	Stopped  string
	Diverged bool
}

// Replica is one replica as an Observer sees it.
type Replica interface {
	Report(ctx context.Context) (ReplicaReport, error)
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
	Root     pagetrie.Hash
	// Checkpoints and Installs are summed over the replica's processes, as far as they were seen.
	Checkpoints, Installs uint64
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
}

// rootsAtOnce bounds the roots asked for in one question.
const rootsAtOnce = 4096

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
	for _, name := range c.Names {
		o.views = append(o.views, ReplicaView{Name: name})
	}
	for i := range c.Replicas {
		o.running.Go(func() { o.watch(ctx, i) })
	}
	return o
}

// Stop ends the questions; what is known stays.
func (o *Observer) Stop() {
	o.cancel()
	o.running.Wait()
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

// watch asks one replica until ctx ends.
func (o *Observer) watch(ctx context.Context, replica int) {
	tick := time.NewTicker(o.cfg.Every)
	defer tick.Stop()
	w := watcher{Observer: o, replica: replica, next: 1}
	for {
		err := w.ask(ctx)
		o.mu.Lock()
		o.views[replica].Reachable = err == nil
		o.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			o.cfg.Log.Debug("replica does not answer", "node", o.cfg.Names[replica], "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watcher is the state of one replica's questions.
type watcher struct {
	*Observer
	replica int
	// next is the round to ask for. fresh is set while the replica may have gone on from a checkpoint since the last
	// root: then a gap in its roots is a skip, otherwise it is only unknown.
	next     fsm.RoundNumber
	fresh    bool
	last     ReplicaReport
	answered bool
}

// ask asks for the state once, and for all roots that are new.
func (w *watcher) ask(ctx context.Context) error {
	asked := time.Now()
	report, err := w.report(ctx)
	if err != nil {
		return err
	}
	if !w.answered || report.PID != w.last.PID || report.Round+1 < w.next {
		// Another process: it went on from a checkpoint and replays what came after. Compare that again from the start.
		w.next, w.fresh = 1, true
	}
	if report.Installs > w.last.Installs {
		w.fresh = true
	}
	w.book(report)
	for {
		roots, err := w.roots(ctx)
		if err == nil && len(roots) > 0 {
			err = w.take(roots)
		}
		if err != nil {
			return err
		}
		if len(roots) < rootsAtOnce {
			break
		}
	}
	w.mu.Lock()
	w.views[w.replica].Asked = asked
	w.mu.Unlock()
	return nil
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

// book keeps a report, and sums up what it counts since the process started.
func (w *watcher) book(report ReplicaReport) {
	before := w.last
	if !w.answered || report.PID != before.PID {
		before.Checkpoints, before.Installs = 0, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &w.views[w.replica]
	v.Report = report
	v.Checkpoints += report.Checkpoints - min(before.Checkpoints, report.Checkpoints)
	v.Installs += report.Installs - min(before.Installs, report.Installs)
	w.last, w.answered = report, true
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
	v.Reported, v.Root = last.Round, last.Root
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
