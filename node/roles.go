package node

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// joinEvery is how often a leader that is joining looks whether an entry of its own term is committed: its first one is, soon
// after its election, in a cluster that has just begun.
const joinEvery = 20 * time.Millisecond

// roleWatcher tells the log when this node's role or its leader changes, and ends the joining of a leader, whom nobody tells
// what is committed.
type roleWatcher struct {
	raft     *raft.Raft
	joiner   *joiner
	logger   *slog.Logger
	changes  chan raft.Observation
	observer *raft.Observer
	quit     chan struct{}
	loop     sync.WaitGroup
}

func newRoleWatcher(r *raft.Raft, j *joiner, logger *slog.Logger) *roleWatcher {
	w := &roleWatcher{raft: r, joiner: j, logger: logger, changes: make(chan raft.Observation, 16), quit: make(chan struct{})}
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
	look := time.NewTicker(joinEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if !w.joiner.on.Load() {
				look.Stop()
			} else if w.raft.State() == raft.Leader {
				w.joiner.committed(w.raft.CommitIndex(), w.raft.CurrentTerm())
			}
		case change := <-w.changes:
			switch data := change.Data.(type) {
			case raft.RaftState:
				w.logger.Info("role changed", "role", roleName(data), "term", w.raft.CurrentTerm())
				if data == raft.Leader {
					w.joiner.elected(&w.joiner.stood, w.raft.CurrentTerm())
				}
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
