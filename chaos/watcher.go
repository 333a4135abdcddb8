package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/fsm"
)

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
