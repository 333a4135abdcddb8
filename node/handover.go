package node

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// handoverPatience is for how many election time-outs a leader may refuse rounds because it hands on. raft gives a transfer one, and then waits
// for the request under way.
const handoverPatience = 3

// handoverError ends a replica whose raft would refuse rounds for ever.
type handoverError struct {
	term   uint64
	lasted time.Duration
}

func (e *handoverError) Error() string {
	return fmt.Sprintf("raft has refused every round for %v, in term %d, because it hands leadership on: the transfer does not end", e.lasted, e.term)
}

// handingOn reports whether a replica ended because it could not hand leadership on: it lacks nothing.
func handingOn(reason error) bool {
	var h *handoverError
	return errors.As(reason, &h)
}

// handover ends a replica that leads and takes no round because a transfer of leadership does not end. In hashicorp/raft 1.7.3 a second
// transfer to a peer whose replication stood still since the first, and has ended then, waits for ever for somebody to take what it sends
// (leadershipTransfer, triggerDeferErrorCh), and nothing but a new start ends it: in later terms too, raft refuses all rounds and all changes of
// the membership. A leader that only could not hand on twice, and took no round in between, starts again as well: another one leads then.
type handover struct {
	limit time.Duration
	term  func() uint64
	now   func() time.Time
	stop  func(error)

	// mu guards the fields below: since when raft has refused all rounds, and in which term; zero when it takes them.
	mu      sync.Mutex
	since   time.Time
	refused uint64
}

// ended is told how each proposed round has ended.
func (h *handover) ended(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(err, errHandingOn) {
		h.since = time.Time{}
		return
	}
	term, now := h.term(), h.now()
	if h.since.IsZero() || h.refused != term {
		h.since, h.refused = now, term
		return
	}
	if lasted := now.Sub(h.since); lasted > h.limit {
		h.stop(&handoverError{term, lasted})
	}
}
