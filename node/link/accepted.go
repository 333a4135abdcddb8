package link

import "slices"

// Accepted connections are bounded, since each takes a goroutine and some hundred KiB of buffers here: those whose greeting is still to
// come, and those of each peer. One too many ends the oldest, so that a peer that comes anew, or after many that say nothing, is
// heard; a peer's own old connections are those that it has lost.
const (
	// MaxUngreeted is many times what peers that dial at once need: each has greeted after one way of the network.
	MaxUngreeted = 64
	// MaxPerPeer is more than a replica has open to another: Raft's pool, its pipeline, its heartbeats and a checkpoint.
	MaxPerPeer = 16
)

// acceptedConns are those of a layer, oldest first. The layer's mu guards them.
type acceptedConns struct {
	ungreeted []*trackedConn
	greeted   map[string][]*trackedConn // by peer
}

// push adds a connection to a list and gives the one that is too many, or nil.
func push(list *[]*trackedConn, c *trackedConn, most int) (surplus *trackedConn) {
	*list = append(*list, c)
	if len(*list) > most {
		surplus = (*list)[0]
		*list = slices.Delete(*list, 0, 1)
	}
	return surplus
}

func drop(list []*trackedConn, c *trackedConn) []*trackedConn {
	if i := slices.Index(list, c); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// remove forgets a connection that is closed.
func (a *acceptedConns) remove(c *trackedConn) {
	a.ungreeted = drop(a.ungreeted, c)
	if left := drop(a.greeted[c.from], c); len(left) > 0 {
		a.greeted[c.from] = left
	} else {
		delete(a.greeted, c.from)
	}
}

// admit takes an accepted connection whose greeting is to come.
func (s *Layer) admit(c *trackedConn) {
	s.mu.Lock()
	surplus := push(&s.accepted.ungreeted, c, MaxUngreeted)
	s.mu.Unlock()
	surplus.end()
}

// welcomed takes note of whose an accepted connection is.
func (s *Layer) welcomed(c *trackedConn, from string) {
	s.mu.Lock()
	s.accepted.remove(c)
	c.from = from
	list := s.accepted.greeted[from]
	surplus := push(&list, c, MaxPerPeer)
	s.accepted.greeted[from] = list
	s.mu.Unlock()
	surplus.end()
}

// end closes a connection whose user will notice.
func (c *trackedConn) end() {
	if c != nil {
		_ = c.Close() // one that is already broken is as good as closed
	}
}
