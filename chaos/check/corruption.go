package check

import "lockstep/chaos/history"

const corruptionDoc = `A checkpoint that the harness has damaged is never used: the node that has it does not start from it, and nobody installs it from
there, unless it was written again. Judged by damaged, checkpoint, started, install-begin and installed. A stream that began before the damage
may still be whole.`

// corruption is the refusal of damaged checkpoints.
type corruption struct {
	damaged map[stored]history.Event
	// streams are the damaged checkpoints that a node began to be sent, by the node that receives.
	streams map[uint8]stream
	checked uint64
}

// stored is a checkpoint on a node's disk.
type stored struct {
	node  uint8
	index uint64
}

type stream struct {
	from   stored
	damage history.Event // zero if it was whole when the stream began
}

func startCorruption(*Suite) checker {
	return &corruption{damaged: map[stored]history.Event{}, streams: map[uint8]stream{}}
}

func (c *corruption) observe(e *history.Event) *Violation {
	own := stored{e.Node, e.Index}
	switch e.Kind {
	case history.Damaged:
		if e.Index != 0 {
			c.checked++
			c.damaged[own] = *e
		}
	case history.Published:
		delete(c.damaged, own)
	case history.Started:
		delete(c.streams, e.Node)
		if damage, ok := c.damaged[own]; ok && e.Index != 0 {
			return broken(e, "node %d started from its checkpoint at entry %d, which was damaged (%s)", e.Node, e.Index, damage.Text).against(damage)
		}
	case history.InstallBegin:
		from := stored{e.Peer, e.Index}
		c.streams[e.Node] = stream{from, c.damaged[from]}
	case history.Installed:
		s := c.streams[e.Node]
		delete(c.streams, e.Node)
		if s.from.index == e.Index && s.damage.Kind != 0 {
			return broken(e, "node %d installed the checkpoint at entry %d from node %d, where it was damaged (%s)", e.Node, e.Index,
				s.from.node, s.damage.Text).against(s.damage)
		}
	}
	return nil
}

func (c *corruption) finish() Finding { return seen(c.checked, "damaged checkpoints followed") }
