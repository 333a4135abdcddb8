package check

import "lockstep/chaos/history"

const onceDoc = `A message of a session runs at most once, in one round, with one reply on all replicas; one that was acknowledged as run has run
in that round; one that was refused never runs; and none runs that no client has sent. A message whose outcome is unknown may
have run or not. Judged by invoked, returned and executed; messages outside sessions are not followed.`

// once is exactly-once.
type once struct {
	suite    *Suite
	messages map[message]*fate
	// sent is the newest sequence number that was sent, by session.
	sent map[uint64]uint64
	// calls are those on their way that belong to a session.
	calls map[uint64]message
	// executed are the rounds of which executed messages were recorded.
	executed map[uint64]bool
	checked  uint64
}

type message struct{ session, sequence uint64 }

// fate is what is known about a message: the round in which it ran with the event that says so, the acknowledgement, and how
// many of its calls may have made it run.
type fate struct {
	ran, acknowledged history.Event
	hopeful           int
	refused           history.Event
}

func startOnce(s *Suite) checker {
	return &once{suite: s, messages: map[message]*fate{}, sent: map[uint64]uint64{}, calls: map[uint64]message{},
		executed: map[uint64]bool{}}
}

func (c *once) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Invoked:
		if e.Class == history.Update && e.Session != 0 {
			m := message{e.Session, e.Sequence}
			c.sent[m.session] = max(c.sent[m.session], m.sequence)
			c.calls[e.Op] = m
			c.fate(m).hopeful++
		}
	case history.Returned:
		if m, ok := c.calls[e.Op]; ok {
			delete(c.calls, e.Op)
			return c.returned(e, m, c.fate(m))
		}
	case history.Executed:
		c.executed[e.Round] = true
		if e.Session != 0 && e.Ran != 0 {
			return c.ran(e, message{e.Session, e.Sequence})
		}
	}
	return nil
}

func (c *once) fate(m message) *fate {
	f := c.messages[m]
	if f == nil {
		f = &fate{}
		c.messages[m] = f
	}
	return f
}

func (c *once) returned(e *history.Event, m message, f *fate) *Violation {
	switch e.Outcome {
	case history.Refused:
		f.hopeful--
		f.refused = *e
		if f.hopeful == 0 && f.ran.Ran != 0 {
			return broken(e, "message %d of session %d was refused by every call and ran in round %d", m.sequence, m.session,
				f.ran.Ran).against(f.ran)
		}
	case history.OK:
		return c.acknowledged(e, m, f)
	}
	return nil
}

func (c *once) acknowledged(e *history.Event, m message, f *fate) *Violation {
	if e.Ran == 0 {
		return nil
	}
	c.checked++
	if a := f.acknowledged; a.Ran != 0 && a.Ran != e.Ran {
		return broken(e, "message %d of session %d was acknowledged twice: as run in round %d and in round %d", m.sequence, m.session,
			a.Ran, e.Ran).against(a)
	}
	f.acknowledged = *e
	return c.compare(e, m, f)
}

func (c *once) ran(e *history.Event, m message) *Violation {
	if newest, ok := c.sent[m.session]; ok && m.sequence > newest {
		return broken(e, "message %d of session %d ran in round %d and no client has sent it", m.sequence, m.session, e.Round)
	}
	f := c.fate(m)
	if f.hopeful == 0 && f.refused.Kind != 0 {
		return broken(e, "message %d of session %d ran in round %d after every call of it was refused", m.sequence, m.session,
			e.Ran).against(f.refused)
	}
	switch known := f.ran; {
	case known.Ran == 0:
		f.ran = *e
	case known.Ran != e.Ran:
		return broken(e, "message %d of session %d ran twice: in round %d on node %d and in round %d on node %d", m.sequence, m.session,
			known.Ran, known.Node, e.Ran, e.Node).against(known)
	case known.Digest != 0 && e.Digest != 0 && known.Digest != e.Digest:
		return broken(e, "message %d of session %d has the reply %s on node %d and %s on node %d", m.sequence, m.session,
			known.Digest, known.Node, e.Digest, e.Node).against(known)
	}
	return c.compare(e, m, f)
}

// compare compares what the client was told with what ran.
func (c *once) compare(e *history.Event, m message, f *fate) *Violation {
	told, ran := f.acknowledged, f.ran
	other := ran
	if e.Kind == history.Executed {
		other = told
	}
	switch {
	case told.Ran == 0 || ran.Ran == 0:
	case told.Ran != ran.Ran:
		return broken(e, "message %d of session %d was acknowledged as run in round %d and ran in round %d on node %d", m.sequence,
			m.session, told.Ran, ran.Ran, ran.Node).against(other)
	case told.Digest != 0 && ran.Digest != 0 && told.Digest != ran.Digest:
		return broken(e, "message %d of session %d was answered with the reply %s, node %d has %s", m.sequence, m.session, told.Digest,
			ran.Node, ran.Digest).against(other)
	}
	return nil
}

func (c *once) finish() Finding {
	f := seen(c.checked, "acknowledged messages followed")
	var missing *Violation
	for m, fate := range c.messages {
		told := fate.acknowledged
		if told.Ran == 0 || fate.ran.Ran != 0 || !c.executed[told.Ran] {
			continue
		}
		v := broken(&told, "message %d of session %d was acknowledged as run in round %d and is not among the messages that ran in it",
			m.sequence, m.session, told.Ran)
		if missing == nil || v.At < missing.At || v.At == missing.At && v.Calls[0] < missing.Calls[0] {
			missing = v
		}
	}
	if missing != nil {
		c.suite.absent(&f, missing)
	}
	return f
}
