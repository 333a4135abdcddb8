package chaos

import (
	"context"
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
