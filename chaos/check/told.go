package check

import (
	"cmp"
	"slices"

	"lockstep/chaos/history"
)

// toldCalls is how many of the newest calls can be told of.
const toldCalls = 1 << 10

// told keeps both ends of the newest calls: a violation names calls by number, and people want to know what they were.
type told struct {
	calls []toldCall
}

type toldCall struct{ invoked, returned history.Event }

func (t *told) learn(e *history.Event) {
	switch {
	case e.Op == 0:
	case e.Kind == history.Invoked:
		if t.calls == nil {
			t.calls = make([]toldCall, toldCalls)
		}
		t.calls[e.Op%toldCalls] = toldCall{invoked: *e}
	case e.Kind == history.Returned && t.calls != nil && t.calls[e.Op%toldCalls].invoked.Op == e.Op:
		t.calls[e.Op%toldCalls].returned = *e
	}
}

// complete adds both ends of a violation's calls to its evidence, and puts that in the order of time.
func (t *told) complete(v *Violation) {
	for _, op := range v.Calls {
		if t.calls == nil || t.calls[op%toldCalls].invoked.Op != op {
			continue
		}
		c := &t.calls[op%toldCalls]
		for _, e := range []history.Event{c.invoked, c.returned} {
			known := func(k history.Event) bool { return k.Kind == e.Kind && k.Op == e.Op }
			if e.Kind != 0 && !slices.ContainsFunc(v.Evidence, known) {
				v.Evidence = append(v.Evidence, e)
			}
		}
	}
	slices.SortStableFunc(v.Evidence, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
}
