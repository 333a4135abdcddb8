package check

import (
	"fmt"

	"lockstep/chaos/history"
)

const linearDoc = `There is one order of all calls that fits what clients saw and when: an answer comes from the round that the answer names, and the
rounds are that order. So a call that began after another had returned must be of a later round: a message of a round after
every round that was answered by then; a query of a state that is not older than any answered by then. A message whose outcome is
unknown and that ran must have run after what was answered before it was sent. This needs no knowledge of what messages do, costs
a few map operations a call, and always decides, except that of a history that breaks off nobody knows what else was applied. Judged by invoked, returned, executed and applied; untracked queries promise
nothing and are only counted.`

// linear is linearizability with the round as witness.
type linear struct {
	suite *Suite
	// now is what has been answered.
	now   floor
	calls map[uint64]begun
	// firsts are the floors of the newest messages of sessions: a message that is sent again counts from its first call.
	firsts  map[uint64]first
	checked uint64
	// far is the answer of the newest round.
	far history.Event
}

// floor is what a call that begins must not be before: the newest rounds that messages ran in and that queries read, with the
// answers that say so.
type floor struct {
	wrote, read       uint64
	wroteBy, readWith uint64 // calls
}

type begun struct {
	floor
	class             history.Class
	session, sequence uint64
}

type first struct {
	sequence uint64
	floor
}

func startLinear(s *Suite) checker {
	return &linear{suite: s, calls: map[uint64]begun{}, firsts: map[uint64]first{}}
}

func (c *linear) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Invoked:
		c.invoked(e)
	case history.Returned:
		b, ok := c.calls[e.Op]
		if !ok {
			return nil
		}
		delete(c.calls, e.Op)
		if e.Outcome == history.OK && e.Round != 0 && b.class != history.StaleQuery {
			return c.returned(e, b)
		}
	case history.Executed:
		return c.executed(e)
	}
	return nil
}

func (c *linear) invoked(e *history.Event) {
	b := begun{floor: c.now, class: e.Class, session: e.Session, sequence: e.Sequence}
	if e.Class == history.Update && e.Session != 0 {
		switch f := c.firsts[e.Session]; {
		case f.sequence == e.Sequence:
			b.floor = f.floor
		case f.sequence > e.Sequence: // sent again after a newer one: nothing is known about its first call
			b.floor = floor{}
		default:
			c.firsts[e.Session] = first{e.Sequence, c.now}
		}
	}
	c.calls[e.Op] = b
}

func (c *linear) returned(e *history.Event, b begun) *Violation {
	c.checked++
	if e.Round > c.far.Round {
		c.far = *e
	}
	if b.class == history.Query {
		if e.Round > c.now.read {
			c.now.read, c.now.readWith = e.Round, e.Op
		}
		switch {
		case e.Round < b.wrote:
			return c.early(e, "query %d read the state after round %d; before it began, message %d had been answered from round %d", b.wroteBy, b.wrote)
		case e.Round < b.read:
			return c.early(e, "query %d read the state after round %d; before it began, query %d had read the one after round %d", b.readWith, b.read)
		}
		return nil
	}
	if e.Round > c.now.wrote {
		c.now.wrote, c.now.wroteBy = e.Round, e.Op
	}
	return c.wrote(e, &b.floor, fmt.Sprintf("message %d ran", e.Op))
}

// wrote checks the round of a message, or of one that ran without an answer, against what was answered before it was sent.
func (c *linear) wrote(e *history.Event, f *floor, what string) *Violation {
	switch {
	case e.Round <= f.wrote:
		return with(broken(e, "%s in round %d; before it was sent, message %d had been answered from round %d", what, e.Round,
			f.wroteBy, f.wrote), f.wroteBy)
	case e.Round <= f.read:
		return with(broken(e, "%s in round %d; before it was sent, query %d had read the state after round %d without it", what, e.Round,
			f.readWith, f.read), f.readWith)
	}
	return nil
}

func (c *linear) early(e *history.Event, format string, call, round uint64) *Violation {
	return with(broken(e, format, e.Op, e.Round, call, round), call)
}

func with(v *Violation, call uint64) *Violation {
	v.Calls = append(v.Calls, call)
	return v
}

// executed checks a message that ran, whether its client has heard of it or not.
func (c *linear) executed(e *history.Event) *Violation {
	f, ok := c.firsts[e.Session]
	if e.Session == 0 || e.Ran != e.Round || !ok || f.sequence != e.Sequence {
		return nil
	}
	return c.wrote(e, &f.floor, fmt.Sprintf("message %d of session %d ran", e.Sequence, e.Session))
}

func (c *linear) finish() Finding {
	f := Finding{State: Held, Checked: c.checked, Of: "calls in the order of their rounds"}
	newest := c.suite.truth.newest
	switch {
	case c.checked == 0:
		f.State, f.Reason = Open, "no call was answered"
	case c.far.Round > newest && newest > 0:
		c.suite.absent(&f, broken(&c.far, "call %d was answered from round %d, and the newest round that any replica has applied is %d",
			c.far.Op, c.far.Round, newest))
	}
	return f
}
