package real

import (
	"context"
	"slices"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/fsm"
)

// audited records what a canister's books say, if a query has asked for them. final is 1 for those of the end.
func (r *run) audited(q *request, e *history.Event, status fsm.Status, final uint64) {
	if r.Load == nil && q.method == check.AuditMethod && q.class != history.Update && status == fsm.StatusReplied {
		r.record(history.Event{Kind: history.Audited, Round: e.Round, Text: q.canister + " " + string(q.reply), Count: final})
	}
}

// audit looks at the books of all canisters that keep some, when what was on its way has arrived, or should have.
func (r *run) audit(ctx context.Context, within time.Duration) {
	var asked []*request
	for i := range r.work.modules {
		if m := &r.work.modules[i]; r.Load == nil && slices.Contains(m.Queries, check.AuditMethod) {
			asked = append(asked, &request{class: history.Query, canister: m.Name, method: check.AuditMethod})
		}
	}
	deadline := time.Now().Add(within)
	for at := 1; len(asked) > 0; at = 1 + at%len(r.members) {
		answers, rest := r.ask(ctx, at, asked)
		over := time.Now().After(deadline)
		if answers != nil && (rest == 0 || over) {
			for i, q := range asked {
				r.audited(q, &answers[i], fsm.StatusReplied, 1)
			}
			return
		}
		if wait(ctx, errorPause); over || ctx.Err() != nil {
			return
		}
	}
}

// ask starts canisters, which may be stopped, and asks a replica for their books. rest is what is still on its way; nil that
// not all answered.
func (r *run) ask(ctx context.Context, at int, asked []*request) (answers []history.Event, rest uint64) {
	for _, q := range asked {
		q.node = at
		e, status := r.caller.send(ctx, q)
		switch {
		case e.Outcome != history.OK:
			return nil, 0
		case status != fsm.StatusReplied:
			r.caller.send(ctx, &request{class: history.Update, node: at, canister: q.canister, change: fsm.KindStart})
			return nil, 0
		}
		answers = append(answers, e)
		if books, err := check.ParseBooks(q.canister + " " + string(q.reply)); err == nil { // else the checker says so
			rest += books.OnTheWay()
		}
	}
	return answers, rest
}
