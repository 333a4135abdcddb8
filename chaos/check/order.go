package check

import (
	"fmt"

	"lockstep/chaos/history"
)

const orderDoc = `A replica applies rounds one after the other: no gap, no round twice, log indexes growing. Between them it may only be
started again, which takes it back to a checkpoint, or be given a checkpoint that is not older than what it has applied. Judged by
applied, started and installed. In runs of real processes, where roots are asked for from outside, rounds that were not seen are
counted and not held against the replica.`

// order is the order of application.
type order struct {
	real  bool
	nodes []applying
	// checked and unseen count rounds.
	checked, unseen uint64
}

// applying is how far a replica is. known is false while its place is not known.
type applying struct {
	last  history.Event
	known bool
}

func startOrder(s *Suite) checker {
	return &order{real: s.cfg.Header.Layer == "real", nodes: make([]applying, s.cfg.Header.Replicas)}
}

func (c *order) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Started:
		c.nodes[e.Node-1] = applying{last: *e, known: !c.real || e.Index != 0}
	case history.Installed:
		return c.installed(e, &c.nodes[e.Node-1])
	case history.Applied:
		return c.applied(e, &c.nodes[e.Node-1])
	}
	return nil
}

func (c *order) installed(e *history.Event, n *applying) *Violation {
	last := n.last
	if n.known && (e.Index < last.Index || e.Round < last.Round) {
		return broken(e, "node %d had applied round %d (entry %d) and was taken back to a checkpoint of round %d (entry %d)",
			e.Node, last.Round, last.Index, e.Round, e.Index).against(last)
	}
	n.last, n.known = *e, true
	return nil
}

func (c *order) applied(e *history.Event, n *applying) *Violation {
	last, known := n.last, n.known
	n.last, n.known = *e, true
	c.checked++
	switch {
	case !known:
		return nil
	case e.Round <= last.Round:
		return broken(e, "node %d applied round %d again or late: it was at round %d", e.Node, e.Round, last.Round).against(last)
	case e.Index <= last.Index:
		return broken(e, "node %d applied round %d at entry %d, after entry %d", e.Node, e.Round, e.Index, last.Index).against(last)
	case e.Round == last.Round+1:
		return nil
	case c.real:
		c.unseen += e.Round - last.Round - 1
		return nil
	}
	return broken(e, "node %d applied round %d after round %d: the ones between are missing", e.Node, e.Round, last.Round).against(last)
}

func (c *order) finish() Finding {
	f := Finding{State: Held, Checked: c.checked, Of: "applied rounds in order"}
	switch {
	case c.checked == 0:
		f.State, f.Reason = Open, "no round was applied"
	case c.unseen > 0:
		f.Reason = fmt.Sprintf("%s not seen", plural(c.unseen, "round was", "rounds were"))
	}
	return f
}
