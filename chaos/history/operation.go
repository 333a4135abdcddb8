package history

import "time"

// NoReturn is Operation.Return of a call that never returned.
const NoReturn = time.Duration(1<<63 - 1)

// Operation is a client's call, its beginning and end put together: 80 bytes.
type Operation struct {
	ID             uint64
	Invoke, Return time.Duration
	Session        uint64
	Sequence       uint64
	// Round, Ran, Index and Reply are as in Returned; zeros if the outcome is not OK.
	Round, Ran, Index uint64
	Reply             Digest
	Client            uint32
	Class             Class
	Outcome           Outcome
}

// Calls puts the beginnings and ends of calls together, event by event.
type Calls struct {
	open map[uint64]int // by number: place in all
	all  []Operation
}

// Observe takes an event; those of other kinds change nothing. It returns the operation that the event has ended, or nil; it
// holds until the next call.
func (c *Calls) Observe(e *Event) *Operation {
	switch e.Kind {
	case Invoked:
		if c.open == nil {
			c.open = map[uint64]int{}
		}
		c.open[e.Op] = len(c.all)
		c.all = append(c.all, Operation{ID: e.Op, Invoke: e.At, Return: NoReturn, Session: e.Session, Sequence: e.Sequence,
			Client: e.Client, Class: e.Class, Outcome: Unknown})
	case Returned:
		i, ok := c.open[e.Op]
		if !ok {
			return nil
		}
		delete(c.open, e.Op)
		o := &c.all[i]
		o.Return, o.Outcome = e.At, e.Outcome
		if e.Outcome == OK {
			o.Round, o.Ran, o.Index, o.Reply = e.Round, e.Ran, e.Index, e.Digest
		}
		return o
	}
	return nil
}

// Open is the number of calls that have not returned.
func (c *Calls) Open() int { return len(c.open) }

// Operations are all calls in the order of their beginnings as they were recorded. The result must not be changed.
func (c *Calls) Operations() []Operation { return c.all }

// Operations are the calls of a history.
func (l *Log) Operations() []Operation {
	var c Calls
	for i := range l.Events {
		c.Observe(&l.Events[i])
	}
	return c.all
}
