package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/fsm"
)

// start brings the cluster up to the moment at which clients can start. A temporary cluster that lost a port to somebody
// else is started anew.
func (r *run) start(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.startOnce(ctx)
		if err == nil || !errors.Is(err, ErrPortInUse) || try == startTries || !r.cluster.Temporary() {
			return err
		}
		r.Log.Warn("starting again with other ports", "err", err)
		if err := r.cluster.Close(); err != nil {
			return err
		}
	}
}

func (r *run) startOnce(ctx context.Context) error {
	var err error
	if r.cluster, err = StartCluster(r.Cluster); err != nil {
		return err
	}
	if r.Started != nil {
		r.Started(r.cluster)
	}
	if r.remote, err = newRemote(r.cluster.Members()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watchStart(ctx, cancel)
	}()
	err = r.equip(ctx)
	cause := context.Cause(ctx) // before it is cancelled here: a replica that has failed explains everything else
	cancel(nil)
	<-watched
	if err != nil && cause != nil {
		return cause
	}
	return err
}

// equip waits for the cluster, begins to observe it and installs what the clients will call.
func (r *run) equip(ctx context.Context) error {
	if err := r.waitLeader(ctx); err != nil {
		return err
	}
	from := fsm.RoundNumber(0)
	if !r.cluster.Fresh() {
		var err error
		if from, err = r.remote.newestRound(ctx); err != nil {
			return err
		}
	}
	r.observer = StartObserver(ObserverConfig{
		Names: r.remote.names, Replicas: r.remote.replicas, From: from, Log: r.Log,
	})
	modules, err := r.remote.complete(ctx, r.Modules, r.Needed)
	if err != nil {
		return err
	}
	return r.remote.install(ctx, modules)
}

// waitLeader waits until all replicas answer and one of them leads.
func (r *run) waitLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no leader within %v", readyWithin))
	defer cancel()
	return r.cluster.WaitReady(ctx, func() bool { return r.remote.hasLeader(ctx) })
}

// Of watchStart: the pause between two looks, and how long a replica may take to answer one.
const (
	lookEvery  = 100 * time.Millisecond
	lookWithin = 2 * time.Second
)

// watchStart cancels the start as soon as a replica has failed for good, with the reasons of all that have.
func (r *run) watchStart(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := r.failures(ctx); err != nil {
			cancel(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failures says which replicas have failed for good, and why; nil if none has. A replica that found its state to be another
// one than the leader's is no failure: it is what the run is to show.
func (r *run) failures(ctx context.Context) error {
	var errs failedReplicas
	for i, replica := range r.remote.replicas {
		if err := r.cluster.nodes[i].failure(); err != nil {
			errs = append(errs, fmt.Errorf("replica %s: %w", r.remote.names[i], err))
			continue
		}
		asking, cancel := context.WithTimeout(ctx, lookWithin)
		report, err := replica.Report(asking)
		cancel()
		if err == nil && report.Stopped != "" && !report.Diverged {
			errs = append(errs, fmt.Errorf("replica %s: %s: %s", r.remote.names[i], ProcessFailed, report.Stopped))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// failedReplicas are the reasons of replicas that failed before the clients could start.
type failedReplicas []error

func (f failedReplicas) Error() string {
	var texts []string
	for _, err := range f {
		texts = append(texts, err.Error())
	}
	return "the cluster could not be started: " + strings.Join(texts, "; ")
}

// Unwrap gives the reasons.
func (f failedReplicas) Unwrap() []error { return f }
