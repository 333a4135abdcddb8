package check

import (
	"fmt"

	"lockstep/chaos/history"
)

const firedDoc = `The faults of the plan happened and had an effect, and rare paths were reached. This finds no violations: it says what a run has not
shown. Judged by fault-begin and fault-end with their counts, by mark, and by other events that show a rare path.`

// fired counts faults and marks.
type fired struct {
	suite *Suite
	byID  map[uint32]*FaultCount
	order []uint32
	marks map[history.MarkName]uint64
	// leader is the newest leader; unknown are messages whose call ended unknown, damaged nodes with a damaged checkpoint.
	leader  uint8
	unknown map[message]bool
	calls   map[uint64]message
	sends   map[message]int
	started map[uint8]history.Event
	damaged map[stored]bool
}

func startFired(s *Suite) checker {
	s.fired = &fired{suite: s, byID: map[uint32]*FaultCount{}, marks: map[history.MarkName]uint64{}, unknown: map[message]bool{},
		calls: map[uint64]message{}, sends: map[message]int{}, started: map[uint8]history.Event{}, damaged: map[stored]bool{}}
	return s.fired
}

func (c *fired) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.FaultBegin, history.FaultEnd:
		c.fault(e)
	case history.Mark:
		c.marks[history.MarkName(e.Text)]++
	case history.Invoked, history.Returned, history.Executed:
		c.call(e)
	default:
		c.node(e)
	}
	return nil
}

func (c *fired) fault(e *history.Event) {
	f := c.byID[e.Fault]
	if f == nil {
		f = &FaultCount{Fault: e.Fault}
		c.byID[e.Fault] = f
		c.order = append(c.order, e.Fault)
	}
	if e.Text != "" {
		f.Text = e.Text
	}
	f.Begun = f.Begun || e.Kind == history.FaultBegin
	f.Over = f.Over || e.Kind == history.FaultEnd
	f.Struck += e.Count
}

// call finds the rare paths of calls.
func (c *fired) call(e *history.Event) {
	m := message{e.Session, e.Sequence}
	switch e.Kind {
	case history.Invoked:
		if e.Session != 0 {
			c.calls[e.Op] = m
			c.sends[m]++
		}
	case history.Returned:
		m, ok := c.calls[e.Op]
		delete(c.calls, e.Op)
		if e.Outcome == history.Unknown {
			c.marks[history.MarkUnknown]++
			if ok {
				c.unknown[m] = true
			}
		}
	case history.Executed:
		switch {
		case e.Session == 0 || e.Ran == 0:
		case e.Ran != e.Round:
			c.marks[history.MarkDuplicate]++
		case c.unknown[m]:
			c.marks[history.MarkUnknownRan]++
			delete(c.unknown, m)
		}
	}
}

// node finds the rare paths of nodes.
func (c *fired) node(e *history.Event) {
	switch e.Kind {
	case history.Installed:
		c.marks[history.MarkInstall]++
	case history.Truncated:
		c.marks[history.MarkTruncated]++
	case history.Started:
		c.started[e.Node] = *e
		if e.Index != 0 {
			c.marks[history.MarkRestored]++
		}
	case history.Applied:
		if s, ok := c.started[e.Node]; ok {
			delete(c.started, e.Node)
			if s.Index != 0 && e.Index <= s.To {
				c.marks[history.MarkReplayed]++
			}
		}
	case history.RoleChanged:
		if e.Role == history.Leader {
			if c.leader != 0 && c.leader != e.Node && c.suite.calls.Open() > 0 {
				c.marks[history.MarkLeaderInFlight]++
			}
			c.leader = e.Node
		}
	case history.Damaged:
		c.damaged[stored{e.Node, e.Index}] = true
	case history.CheckpointRefused:
		if at := (stored{e.Node, e.Index}); c.damaged[at] || e.Peer != 0 && c.damaged[stored{e.Peer, e.Index}] {
			c.marks[history.MarkCheckpointBad]++
		}
	case history.Configured:
		c.marks[history.MarkMembers]++
	}
}

// faults are the counts in the order in which the faults began.
func (c *fired) faults() []FaultCount {
	var all []FaultCount
	for _, id := range c.order {
		all = append(all, *c.byID[id])
	}
	return all
}

func (c *fired) finish() Finding {
	var struck, none, open uint64
	for _, f := range c.byID {
		switch {
		case f.Struck > 0:
			struck++
		case f.Over:
			none++
		default:
			open++
		}
	}
	f, n := seen(struck, "faults that had an effect"), plural(uint64(len(c.byID)), "fault", "faults")
	switch { // how often a fault has struck is told at its end
	case none > 0 && open > 0:
		f.Reason = fmt.Sprintf("%d of %s had none, %d went on at the end", none, n, open)
	case none > 0:
		f.Reason = fmt.Sprintf("%d of %s had none", none, n)
	case open > 0:
		f.Reason = fmt.Sprintf("%d of %s went on at the end", open, n)
	}
	return f
}
