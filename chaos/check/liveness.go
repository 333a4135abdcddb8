package check

import (
	"fmt"
	"slices"

	"lockstep/chaos/history"
)

const livenessDoc = `Once everything is healed, the cluster gets on: a new round is applied, and in the end every replica is up and has applied the newest
round; and at no time does a replica work without getting on. Replicas that the plan excuses need not come back. Judged by healed, ended,
applied, installed, started, stopped, crashed, stuck and the invoked messages. Somebody must send messages in the quiet ending, which lasts
as long as the cluster may take. A run without one, or without a message in it, is undecided, and so is one
that was stopped at another violation.`

// liveness is progress.
type liveness struct {
	suite           *Suite
	header          history.Header
	healed, ended   bool
	asked           bool // somebody sent a message after everything was healed
	newest, atHeal  uint64
	nodes           []standing
	healedAt, endAt history.Event
}

// standing is what one replica has come to.
type standing struct {
	up    bool
	round uint64
	last  history.Event
}

func startLiveness(s *Suite) checker {
	return &liveness{suite: s, header: s.cfg.Header, nodes: make([]standing, s.cfg.Header.Replicas)}
}

func (c *liveness) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Healed:
		c.healed, c.atHeal, c.healedAt = true, c.newest, *e
		return nil
	case history.Ended:
		c.ended, c.endAt = true, *e
		return nil
	case history.Invoked:
		c.asked = c.asked || c.healed && e.Class == history.Update
		return nil
	case history.Stuck:
		return broken(e, "%s", e.Words())
	}
	if e.Node == 0 {
		return nil
	}
	n := &c.nodes[e.Node-1]
	switch e.Kind {
	case history.Started, history.Installed, history.Applied:
		n.up, n.round, n.last = true, e.Round, *e
		c.newest = max(c.newest, e.Round)
	case history.Stopped, history.Crashed, history.Panicked, history.Diverged:
		n.up, n.last = false, *e
	}
	return nil
}

func (c *liveness) finish() Finding {
	f := Finding{State: Held, Checked: c.newest - c.atHeal, Of: "rounds after everything was healed"}
	if !c.healed || !c.ended {
		f.State, f.Reason, f.Checked = Open, "the run has no quiet ending", 0
		return f
	}
	if first := c.suite.first; first != nil {
		f.State, f.Reason, f.Checked = Open, "the run was stopped at a violation of "+first.Checker, 0
		return f
	}
	if c.newest == c.atHeal && !c.asked {
		f.State, f.Reason = Open, "nobody sent a message in the quiet ending"
		return f
	}
	if c.newest == c.atHeal {
		f.State, f.Violation = Broken, broken(&c.endAt, "no round was applied in the %s after everything was healed; the newest is %d",
			history.Clock(c.endAt.At-c.healedAt.At), c.newest)
		return f
	}
	for i, n := range c.nodes {
		if slices.Contains(c.header.Excused, i+1) || n.up && n.round == c.newest {
			continue
		}
		what := fmt.Sprintf("is at round %d of %d", n.round, c.newest)
		if !n.up {
			what = "is down"
		}
		v := broken(&c.endAt, "node %d %s, %s after everything was healed", i+1, what, history.Clock(c.endAt.At-c.healedAt.At))
		v.Nodes = []int{i + 1}
		if n.last.Kind != 0 {
			v = v.against(n.last)
		}
		f.State, f.Violation = Broken, v
		return f
	}
	return f
}
