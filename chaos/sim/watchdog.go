package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Bounds of work that leads nowhere.
const (
	// maxInstant is how many requests are sent at one instant of virtual time.
	maxInstant = 20_000
	// maxInstalls is how often one checkpoint is sent to one replica.
	maxInstalls = 60
)

// watchdog ends a run that works without getting on: virtual time stands still while anybody works, so a livelock would last for
// ever.
type watchdog struct {
	// stuck is told once: which replicas, and what they do.
	stuck func(node, peer int, count uint64, what string)

	mu       sync.Mutex
	now      time.Time
	instant  int
	installs map[install]uint64
	barked   bool
}

// install is one checkpoint on its way to one replica.
type install struct {
	to          int
	index, term uint64
}

func (w *watchdog) sent(t *transport, to int, command any) {
	w.mu.Lock()
	now := time.Now()
	if now.Equal(w.now) {
		w.instant++
	} else {
		w.now, w.instant = now, 0
	}
	what, count := "", uint64(w.instant)
	if w.instant > maxInstant {
		what = fmt.Sprintf("more than %d requests at one instant", maxInstant)
	}
	if req, ok := command.(*raft.InstallSnapshotRequest); ok {
		key := install{to, req.LastLogIndex, req.LastLogTerm}
		if w.installs == nil {
			w.installs = map[install]uint64{}
		}
		w.installs[key]++
		if count = w.installs[key]; count > maxInstalls {
			what = fmt.Sprintf("the checkpoint of entry %d is sent to node %d again and again", req.LastLogIndex, to)
		}
	}
	bark := what != "" && !w.barked
	w.barked = w.barked || bark
	w.mu.Unlock()
	if bark {
		w.stuck(t.self, to, count, what)
	}
}
