package check

import "lockstep/chaos/history"

const leadersDoc = `A term has at most one leader, and a replica votes for at most one candidate in a term, also across restarts. Judged by role
and voted.`

// leaders is election safety.
type leaders struct {
	led   map[uint64]history.Event // by term
	votes map[ballot]history.Event
	seen  uint64
}

type ballot struct {
	node uint8
	term uint64
}

func startLeaders(*Suite) checker {
	return &leaders{led: map[uint64]history.Event{}, votes: map[ballot]history.Event{}}
}

func (c *leaders) observe(e *history.Event) *Violation {
	switch {
	case e.Kind == history.RoleChanged && e.Role == history.Leader:
		c.seen++
		if known, ok := c.led[e.Term]; ok && known.Node != e.Node {
			return broken(e, "term %d has two leaders: node %d and node %d", e.Term, known.Node, e.Node).against(known)
		}
		c.led[e.Term] = *e
	case e.Kind == history.Voted:
		at := ballot{e.Node, e.Term}
		if known, ok := c.votes[at]; ok && known.Peer != e.Peer {
			return broken(e, "node %d voted twice in term %d: for node %d and for node %d", e.Node, e.Term, known.Peer, e.Peer).against(known)
		}
		c.votes[at] = *e
	}
	return nil
}

func (c *leaders) finish() Finding { return seen(c.seen, "elections") }
