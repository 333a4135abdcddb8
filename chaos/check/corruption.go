package check

import (
	"time"

	"lockstep/chaos/history"
)

const corruptionDoc = `A checkpoint that the harness has damaged is refused: a node that starts from it proves what it uses and all the rest beside, and
sets it aside before it has been heard of for 10 s; nobody installs it from there, unless it was written again. Judged by damaged,
checkpoint, checkpoint-refused, started, install-sent, install-begin and installed, and by the events of a node that tell that it goes
on. A stream that was read before the damage is still whole, however late it arrives.`

// corruption is the refusal of damaged checkpoints.
type corruption struct {
	damaged map[stored]history.Event
	// trusted are the nodes that run on a damaged checkpoint and have not refused it yet.
	trusted map[uint8]*trust
	// streams are the damaged checkpoints that a node began to be sent, by the node that receives.
	streams map[uint8]stream
	// sent are the streams by number, as their checkpoints were when they were read.
	sent    map[uint64]stream
	checked uint64
}

// trust is a start from a damaged checkpoint.
type trust struct {
	damage history.Event
	last   time.Duration // of the newest event
	heard  time.Duration // how long the node has run, as far as its events tell
}

// A node has proven its checkpoint after provenWithin; a silence of more than silence, of a paused node for one, is no time to do so.
const (
	provenWithin = 10 * time.Second
	silence      = time.Second
)

// stored is a checkpoint on a node's disk.
type stored struct {
	node  uint8
	index uint64
}

type stream struct {
	from   stored
	damage history.Event // zero if it was whole when the stream was read, or began if it is not known when that was
}

func startCorruption(*Suite) checker {
	return &corruption{damaged: map[stored]history.Event{}, trusted: map[uint8]*trust{}, streams: map[uint8]stream{},
		sent: map[uint64]stream{}}
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
	case history.CheckpointRefused, history.Crashed, history.Stopped, history.Panicked, history.Diverged:
		if e.Peer == 0 { // else it was a peer's
			delete(c.trusted, e.Node)
		}
	case history.Started:
		delete(c.streams, e.Node)
		delete(c.trusted, e.Node)
		if damage, ok := c.damaged[own]; ok && e.Index != 0 {
			c.trusted[e.Node] = &trust{damage: damage, last: e.At}
		}
	case history.InstallSent:
		c.sent[e.Sequence] = stream{own, c.damaged[own]}
	case history.InstallBegin:
		s, known := c.sent[e.Sequence]
		if !known {
			from := stored{e.Peer, e.Index}
			s = stream{from, c.damaged[from]}
		}
		c.streams[e.Node] = s
	case history.Installed:
		s := c.streams[e.Node]
		delete(c.streams, e.Node)
		if s.from.index == e.Index && s.damage.Kind != 0 {
			return broken(e, "node %d installed the checkpoint at entry %d from node %d, where it was damaged (%s)", e.Node, e.Index,
				s.from.node, s.damage.Text).against(s.damage)
		}
	}
	return c.stillTrusted(e)
}

// stillTrusted finds a node that has run on a damaged checkpoint for too long.
func (c *corruption) stillTrusted(e *history.Event) *Violation {
	t := c.trusted[e.Node]
	if t == nil {
		return nil
	}
	t.heard += min(e.At-t.last, silence)
	if t.last = e.At; t.heard < provenWithin {
		return nil
	}
	delete(c.trusted, e.Node)
	return broken(e, "node %d has run for %v on its checkpoint at entry %d, which was damaged (%s), and has not refused it", e.Node,
		t.heard, t.damage.Index, t.damage.Text).against(t.damage)
}

func (c *corruption) finish() Finding { return seen(c.checked, "damaged checkpoints followed") }
