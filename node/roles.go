package node

import (
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// roleWatcher tells the log when this node's role or its leader changes.
type roleWatcher struct {
	raft     *raft.Raft
	logger   *slog.Logger
	changes  chan raft.Observation
	observer *raft.Observer
	quit     chan struct{}
	loop     sync.WaitGroup
}

func newRoleWatcher(r *raft.Raft, logger *slog.Logger) *roleWatcher {
	w := &roleWatcher{raft: r, logger: logger, changes: make(chan raft.Observation, 16), quit: make(chan struct{})}
	w.observer = raft.NewObserver(w.changes, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.RaftState, raft.LeaderObservation:
			return true
		}
		return false
	})
	return w
}

func (w *roleWatcher) start() {
	w.raft.RegisterObserver(w.observer)
	w.loop.Go(w.run)
}

func (w *roleWatcher) close() {
	w.raft.DeregisterObserver(w.observer)
	close(w.quit)
	w.loop.Wait()
}

func (w *roleWatcher) run() {
	for {
		select {
		case change := <-w.changes:
			switch data := change.Data.(type) {
			case raft.RaftState:
				w.logger.Info("role changed", "role", roleName(data), "term", w.raft.CurrentTerm())
			case raft.LeaderObservation:
				if data.LeaderID != "" {
					w.logger.Info("leader changed", "leader", string(data.LeaderID), "term", w.raft.CurrentTerm())
				}
			}
		case <-w.quit:
			return
		}
	}
}

func roleName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Follower:
		return "follower"
	}
	return "stopped"
}
