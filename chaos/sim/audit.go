package sim

import (
	"context"
	"slices"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/fsm"
	"lockstep/node"
)

// audited records what a canister's books say, if a query has asked for them. final is 1 for those of the end.
func (c *cluster) audited(q *fsm.Query, a *node.Answer, final uint64) {
	if c.opts.Load == nil && q.Method == check.AuditMethod && a.Status == fsm.StatusReplied {
		c.record(history.Event{Kind: history.Audited, Round: uint64(a.Round), Text: q.Canister + " " + string(a.Reply), Count: final})
	}
}

// audit looks at the books of all canisters that keep some, when what was on its way has arrived, or should have. Without a
// leader nobody is asked.
func (c *cluster) audit() {
	var asked []fsm.Query
	for i := range c.work.modules {
		if m := &c.work.modules[i]; c.opts.Load == nil && slices.Contains(m.Queries, check.AuditMethod) {
			asked = append(asked, fsm.Query{Canister: m.Name, Method: check.AuditMethod})
		}
	}
	deadline := time.Now().Add(c.plan.Time.Quiet)
	for len(asked) > 0 {
		c.setClocks()
		answers, rest := c.ask(asked)
		over := time.Now().After(deadline)
		if answers != nil && (rest == 0 || over) {
			for i := range asked {
				c.audited(&asked[i], &answers[i], 1)
			}
			return
		}
		if over || !sleep(50*time.Millisecond, c.failed) {
			return
		}
	}
}

// setClocks sets all clocks to the time of the newest round, if they are behind it: after a clock has jumped ahead the time of rounds
// stands still until the others have caught up, and no timer that was set since fires.
func (c *cluster) setClocks() {
	newest := c.began
	c.mu.Lock()
	for _, r := range c.log {
		if r.time.After(newest) {
			newest = r.time
		}
	}
	c.mu.Unlock()
	for _, m := range c.members {
		m.mu.Lock()
		m.drift = nil
		m.skew = max(m.skew, time.Until(newest))
		m.mu.Unlock()
	}
}

// ask starts canisters, which may be stopped, and asks for their books. rest is what is still on its way; nil that not all answered.
func (c *cluster) ask(asked []fsm.Query) (answers []node.Answer, rest uint64) {
	leader := c.leaderNow()
	if leader == 0 {
		return nil, 0
	}
	for i := range asked {
		q := &asked[i]
		a, err := c.call(leader, func(ctx context.Context, p process) (node.Answer, error) { return p.Query(ctx, *q) })
		if err != nil {
			return nil, 0
		}
		if a.Status != fsm.StatusReplied {
			start := fsm.Message{Kind: fsm.KindStart, Canister: q.Canister}
			_, _ = c.call(leader, func(ctx context.Context, p process) (node.Answer, error) { return p.Submit(ctx, start) }) // it is asked again
			return nil, 0
		}
		answers = append(answers, a)
		if books, err := check.ParseBooks(q.Canister + " " + string(a.Reply)); err == nil { // else the checker says so
			rest += books.OnTheWay()
		}
	}
	return answers, rest
}
