package check

import "lockstep/chaos/history"

const committedDoc = `An entry that a replica has learnt to be committed, or has applied, stays: no other entry is ever committed at its index, no
replica cuts it off the end of its log unless a checkpoint stands for it, and every leader of a later term than the one in which it
was committed has it (Raft's leader completeness). Judged by committed, applied, truncated and role, with the logs as appended and started tell them. What a replica cuts off
while it starts is judged when it has started, which says the checkpoint that it found: one may be whole on the disk of a replica
that crashed before it could tell.`

// committed is the permanence of what was committed.
type committed struct {
	suite   *Suite
	entries map[uint64]history.Event // by index
	newest  uint64
	checked uint64
	// elected are the newest leaders, in the order in which they were told of.
	elected []election
	// down are the replicas that do not run; starting is the newest committed entry of what each cut off since.
	down     map[uint8]bool
	starting map[uint8]*cutOff
}

// election is a leader's, and the newest entry that was known to be committed when it was told of.
type election struct{ term, newest uint64 }

// electionsKept bounds how late a leader can be told of.
const electionsKept = 64

// cutOff is a committed entry that was cut off a log.
type cutOff struct {
	index     uint64
	violation *Violation
}

func startCommitted(s *Suite) checker {
	return &committed{suite: s, entries: map[uint64]history.Event{}, down: map[uint8]bool{}, starting: map[uint8]*cutOff{}}
}

func (c *committed) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Committed:
		return c.commit(e)
	case history.Applied:
		if e.Term != 0 {
			return c.commit(e)
		}
	case history.Truncated:
		return c.truncated(e)
	case history.Crashed, history.Stopped, history.Panicked:
		c.down[e.Node] = true
	case history.Started:
		return c.started(e)
	case history.RoleChanged:
		if e.Role == history.Leader {
			return c.leads(e)
		}
	}
	return nil
}

func (c *committed) commit(e *history.Event) *Violation {
	c.checked++
	known, ok := c.entries[e.Index]
	switch {
	case !ok:
		c.newest = max(c.newest, e.Index)
		c.entries[e.Index] = *e
		if e.Index > c.suite.cfg.Window {
			delete(c.entries, e.Index-c.suite.cfg.Window)
		}
	case known.Term != e.Term:
		return broken(e, "entry %d is committed with term %d on node %d and with term %d on node %d", e.Index, known.Term, known.Node,
			e.Term, e.Node).against(known)
	case known.Digest != 0 && e.Digest != 0 && known.Digest != e.Digest:
		return broken(e, "entry %d of term %d is committed as %s on node %d and as %s on node %d", e.Index, e.Term, known.Digest,
			known.Node, e.Digest, e.Node).against(known)
	case known.Digest == 0:
		c.entries[e.Index] = *e
	}
	return nil
}

// truncated looks for committed entries among those that were cut off.
func (c *committed) truncated(e *history.Event) *Violation {
	log := &c.suite.logs.nodes[e.Node-1]
	var newest *cutOff
	log.in(max(e.Index, log.snap+1), e.To, func(cut history.Event) bool {
		known, ok := c.entries[cut.Index]
		if ok && known.Term == cut.Term && (newest == nil || cut.Index > newest.index) {
			newest = &cutOff{cut.Index, broken(e, "node %d cut entry %d of term %d off its log, which is committed, and has no checkpoint for it",
				e.Node, cut.Index, cut.Term).against(known)}
		}
		return true
	})
	switch {
	case newest == nil:
		return nil
	case !c.down[e.Node]:
		return newest.violation
	}
	if before := c.starting[e.Node]; before == nil || newest.index > before.index {
		c.starting[e.Node] = newest
	}
	return nil
}

// started judges what was cut off on the way here.
func (c *committed) started(e *history.Event) *Violation {
	cut := c.starting[e.Node]
	delete(c.starting, e.Node)
	c.down[e.Node] = false
	if cut == nil || cut.index <= e.Index {
		return nil
	}
	return cut.violation
}

// leads checks that a new leader has the newest committed entry of an earlier term; log matching says the rest. One that is told of after a leader
// of a newer term, since the votes for it were long on their way, need not have what that one may have committed.
func (c *committed) leads(e *history.Event) *Violation {
	newest := c.newest
	for _, later := range c.elected {
		if later.term > e.Term {
			newest = min(newest, later.newest)
		}
	}
	c.elected = append(c.elected[max(0, len(c.elected)+1-electionsKept):], election{e.Term, c.newest})
	log := &c.suite.logs.nodes[e.Node-1]
	known, ok := c.entries[newest]
	if !log.seen || !ok || known.Term >= e.Term || log.snap >= known.Index {
		return nil
	}
	if have, ok := log.entries[known.Index]; ok && have.Term == known.Term || !ok && log.last >= known.Index {
		return nil // or it has one there whose writing was not recorded
	}
	return broken(e, "node %d leads term %d without entry %d of term %d, which is committed", e.Node, e.Term, known.Index,
		known.Term).against(known)
}

func (c *committed) finish() Finding { return seen(c.checked, "committed entries compared") }
