package check

import (
	"fmt"
	"math/bits"

	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

const rootsDoc = `After every round, every replica that applied it has the same state root, at the same log index; a round that is
applied again after a restart gives the root that it gave before; the root that a client was answered with is that root; and no
replica finds by itself that it has diverged. Judged by applied, returned and diverged. A round counts as compared only when two
replicas have reported it; if none was, or the newest was not, the run is undecided. An older one that only one replica has
reported, because the others went on from a checkpoint behind it, is vouched for by the newer ones.`

// roots is root agreement.
type roots struct {
	suite *Suite
	// answers are roots that clients were answered with before any replica reported the index.
	answers map[uint64]history.Event
	// compared counts the rounds with two witnesses or more, single those with one.
	compared, single uint64
}

func startRoots(s *Suite) checker { return &roots{suite: s, answers: map[uint64]history.Event{}} }

func (c *roots) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Applied:
		return c.applied(e)
	case history.Returned:
		return c.answered(e)
	case history.Diverged:
		v := broken(e, "node %d found by itself that its root after round %d is not the leader's: %s", e.Node, e.Round, e.Text)
		if t := c.suite.truth.at(e.Round); t != nil && e.Root != (pagetrie.Hash{}) {
			v.Roots = []Witness{nodeWitness(&t.first), nodeWitness(e)}
			v.against(t.first)
		}
		return v
	}
	return nil
}

func (c *roots) applied(e *history.Event) *Violation {
	if a, ok := c.answers[e.Index]; ok {
		delete(c.answers, e.Index)
		if v := c.compare(e, &a); v != nil {
			return v
		}
	}
	t := c.suite.truth.at(e.Round)
	if t == nil {
		c.single++
		return nil
	}
	if t.first.Index != e.Index {
		return broken(e, "round %d is entry %d on node %d and entry %d on node %d", e.Round, t.first.Index, t.first.Node,
			e.Index, e.Node).against(t.first)
	}
	if bits.OnesCount64(t.seen) == 1 && t.seen&(1<<(e.Node-1)) == 0 {
		c.single--
		c.compared++
	}
	return c.compare(&t.first, e)
}

// answered takes the root that a client was told, which is of the round at the index.
func (c *roots) answered(e *history.Event) *Violation {
	if e.Outcome != history.OK || e.Root == (pagetrie.Hash{}) || e.Index == 0 {
		return nil
	}
	round, ok := c.suite.truth.byIndex[e.Index]
	if !ok {
		if len(c.answers) < 1<<16 { // of what nobody ever reports only so much is kept
			c.answers[e.Index] = *e
		}
		return nil
	}
	return c.compare(&c.suite.truth.at(round).first, e)
}

// compare compares a round that was applied with another word on it.
func (c *roots) compare(applied, other *history.Event) *Violation {
	none := pagetrie.Hash{}
	if applied.Root == none || other.Root == none || applied.Root == other.Root {
		return nil
	}
	one, two := nodeWitness(applied), nodeWitness(other)
	v := broken(other, "round %d: %s has root %s, %s has root %s", applied.Round, one.Who, history.ShortRoot(applied.Root),
		two.Who, history.ShortRoot(other.Root)).against(*applied)
	v.Round, v.Index, v.Roots = applied.Round, applied.Index, []Witness{one, two}
	return v
}

func nodeWitness(e *history.Event) Witness {
	who := fmt.Sprintf("node %d", e.Node)
	switch {
	case e.Kind == history.Returned:
		who = fmt.Sprintf("the answer to call %d", e.Op)
	case e.Kind != history.Applied && e.Kind != history.Diverged:
		who += "'s checkpoint"
	}
	return witness(who, e.Root)
}

func (c *roots) finish() Finding {
	f := Finding{State: Held, Checked: c.compared, Of: "rounds compared between replicas"}
	switch {
	case c.suite.cfg.Header.Replicas == 1:
		f.State, f.Reason = Open, "a single replica has nobody to be compared with"
	case c.compared == 0:
		f.State, f.Reason = Open, "no round was reported by two replicas"
	case bits.OnesCount64(c.suite.truth.at(c.suite.truth.newest).seen) < 2:
		f.State, f.Reason = Open, fmt.Sprintf("the newest round, %d, was reported by one replica only", c.suite.truth.newest)
	case c.single > 0:
		f.Reason = fmt.Sprintf("%s by one replica only; newer ones by more", plural(c.single, "round was reported", "rounds were reported"))
	}
	return f
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
