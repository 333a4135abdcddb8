package check

import "lockstep/chaos/history"

const matchingDoc = `If two logs have an entry of the same index and term, it is the same entry, and so is every entry before it (Raft's log
matching). Judged by appended: each entry's digest, and the term of the entry before it in the same log. Entries whose digest was
not recorded are compared by their terms only.`

// matching is log matching.
type matching struct {
	suite *Suite
	// entries are all entries that any log has ever had, by index and term.
	entries map[place]logged
	newest  uint64
	checked uint64
}

type place struct{ index, term uint64 }

// logged is an entry with the term of the one before it; 0 is unknown.
type logged struct {
	first  history.Event
	before uint64
}

func startMatching(s *Suite) checker { return &matching{suite: s, entries: map[place]logged{}} }

func (c *matching) observe(e *history.Event) *Violation {
	if e.Kind != history.Appended {
		return nil
	}
	c.checked++
	c.forget(e.Index)
	before := c.suite.logs.nodes[e.Node-1].entries[e.Index-1].Term
	at := place{e.Index, e.Term}
	known, ok := c.entries[at]
	if !ok {
		c.entries[at] = logged{*e, before}
		return nil
	}
	if known.first.Digest != 0 && e.Digest != 0 && known.first.Digest != e.Digest {
		return broken(e, "entry %d of term %d is %s on node %d and %s on node %d", e.Index, e.Term, known.first.Digest,
			known.first.Node, e.Digest, e.Node).against(known.first)
	}
	if known.before != 0 && before != 0 && known.before != before {
		return broken(e, "before entry %d of term %d there is an entry of term %d on node %d and one of term %d on node %d",
			e.Index, e.Term, known.before, known.first.Node, before, e.Node).against(known.first)
	}
	if known.first.Digest == 0 {
		known.first = *e
	}
	if known.before == 0 {
		known.before = before
	}
	c.entries[at] = known
	return nil
}

// forget drops what has left the window, now and then.
func (c *matching) forget(index uint64) {
	c.newest = max(c.newest, index)
	if window := c.suite.cfg.Window; uint64(len(c.entries)) > 2*window {
		for at := range c.entries {
			if at.index+window < c.newest {
				delete(c.entries, at)
			}
		}
	}
}

func (c *matching) finish() Finding { return seen(c.checked, "log entries compared") }

// seen is the finding of a checker that saw so much and found nothing wrong.
func seen(checked uint64, of string) Finding {
	if checked == 0 {
		return Finding{State: Unseen, Of: of, Reason: "nothing of it was recorded"}
	}
	return Finding{State: Held, Checked: checked, Of: of}
}
