package check

import (
	"fmt"

	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

const checkpointsDoc = `A checkpoint is what it says: its root is the one that the replicas found after its round, and its index lies at that round's entry or
behind it and before the next round's. That holds for checkpoints that are written, that a node starts from and that are installed.
A node that refuses its own, or to write one, was given a damaged one by a fault, and one that begins without the newest that it had published has lost
it to a fault, or could not read it at that start. Judged by checkpoint, started and installed against applied, by checkpoint-refused
against damaged, and in simulated runs, where power is lost, by started against checkpoint and checkpoint-unread. A checkpoint of a round that nobody has reported is compared when
somebody does, as long as few enough wait.`

// checkpoints is the truth of checkpoints.
type checkpoints struct {
	suite *Suite
	// waiting are checkpoints of rounds that nobody has reported, by round.
	waiting map[uint64]history.Event
	checked uint64
	// damaged are nodes whose files a fault has damaged; lies is set when a disk has said that it synced what it did not.
	damaged map[uint8]bool
	lies    bool
	// published is the newest that each node has published by itself or was sent.
	published map[uint8]history.Event
	// unread is the index of the newest that the disk has not given to each node in the start under way.
	unread map[uint8]uint64
}

// maxWaiting bounds the checkpoints that wait for their rounds.
const maxWaiting = 1024

func startCheckpoints(s *Suite) checker {
	return &checkpoints{suite: s, waiting: map[uint64]history.Event{}, damaged: map[uint8]bool{}, published: map[uint8]history.Event{},
		unread: map[uint8]uint64{}}
}

func (c *checkpoints) observe(e *history.Event) *Violation {
	if v := c.lost(e); v != nil {
		return v
	}
	switch e.Kind {
	case history.Published, history.Started, history.Installed:
		if e.Index == 0 || e.Round == 0 {
			return nil
		}
		if t := c.suite.truth.at(e.Round); t != nil {
			return c.compare(&t.first, e)
		}
		if len(c.waiting) < maxWaiting {
			c.waiting[e.Round] = *e
		}
	case history.Applied:
		if w, ok := c.waiting[e.Round]; ok {
			delete(c.waiting, e.Round)
			return c.compare(e, &w)
		}
	case history.Damaged:
		c.damaged[e.Node] = true
	case history.FaultBegin:
		c.lies = c.lies || faultKind(e.Text) == "lying-disk"
	case history.CheckpointRefused:
		if e.Peer == 0 && e.Index != 0 && !c.damaged[e.Node] && !c.lies {
			return broken(e, "node %d refuses its own checkpoint of entry %d, which no fault has damaged: %s", e.Node, e.Index, e.Text)
		}
	}
	return nil
}

// lost finds a checkpoint that was published and is not there at the next start.
func (c *checkpoints) lost(e *history.Event) *Violation {
	newest := c.published[e.Node]
	switch e.Kind {
	case history.Published:
		if e.Index >= newest.Index {
			c.published[e.Node] = *e
		}
	case history.CheckpointUnread:
		c.unread[e.Node] = max(c.unread[e.Node], e.Index)
	case history.Stopped, history.Crashed:
		delete(c.unread, e.Node)
	case history.Started:
		unread := c.unread[e.Node]
		delete(c.unread, e.Node) // it stays on the disk, for the next start
		// What was published at the very moment of the start was by the life that starts: it is at work before it is told of.
		if e.Index < newest.Index && newest.At < e.At && unread < newest.Index && c.suite.cfg.Header.Layer == "sim" && !c.damaged[e.Node] && !c.lies {
			return begunWithout(e, newest)
		}
	}
	return nil
}

// begunWithout is a start without the newest checkpoint.
func begunWithout(e *history.Event, newest history.Event) *Violation {
	with := "without a checkpoint"
	if e.Index != 0 {
		with = fmt.Sprintf("with the checkpoint of entry %d", e.Index)
	}
	return broken(e, "node %d begins %s, after it had published that of entry %d, which no fault has harmed", e.Node, with,
		newest.Index).against(newest)
}

// compare compares a checkpoint with its round as it was applied.
func (c *checkpoints) compare(applied, e *history.Event) *Violation {
	c.checked++
	next := c.suite.truth.at(e.Round + 1)
	none := pagetrie.Hash{}
	switch {
	case e.Root != none && applied.Root != none && e.Root != applied.Root:
		v := broken(e, "node %d's checkpoint of round %d has root %s, node %d had root %s after that round", e.Node, e.Round,
			history.ShortRoot(e.Root), applied.Node, history.ShortRoot(applied.Root)).against(*applied)
		v.Roots = []Witness{nodeWitness(applied), nodeWitness(e)}
		return v
	case e.Index < applied.Index:
		return broken(e, "node %d's checkpoint of round %d says entry %d, the round is entry %d", e.Node, e.Round, e.Index,
			applied.Index).against(*applied)
	case next != nil && e.Index >= next.first.Index:
		return broken(e, "node %d's checkpoint of round %d says entry %d, where round %d is at entry %d already", e.Node, e.Round,
			e.Index, e.Round+1, next.first.Index).against(next.first)
	}
	return nil
}

func (c *checkpoints) finish() Finding {
	return seen(c.checked, "checkpoints compared with their rounds")
}
