package check

import (
	"cmp"
	"slices"

	"lockstep/chaos/history"
)

// How many events of each kind are told of what was before a violation.
const (
	recentOthers = 24
	recentFaults = 12
	recentOn     = 24
)

// recent keeps the newest events that are not everyday ones, and apart from them the newest beginnings and ends of faults and the faults
// that are on: however much happens, they stay.
type recent struct {
	others, faults numbered
	on             map[uint32]numberedEvent
	n              int
}

// numberedEvent is an event with its place among all that recent has seen.
type numberedEvent struct {
	n int
	history.Event
}

type numbered []numberedEvent

// add adds an event and forgets the oldest of more than most.
func (l *numbered) add(e numberedEvent, most int) {
	if *l = append(*l, e); len(*l) >= 2*most {
		*l = slices.Delete(*l, 0, len(*l)-most)
	}
}

func (l numbered) newest(most int) numbered { return l[max(0, len(l)-most):] }

func (r *recent) add(e *history.Event) {
	switch e.Kind {
	case history.Applied, history.Executed, history.Appended, history.Committed, history.Invoked, history.Returned,
		history.Gauge, history.Audited, history.Compacted, history.Published, history.Voted:
		return
	case history.Mark:
		if m := history.MarkName(e.Text); m == history.MarkStaleRead || m == history.MarkOutOfFuel { // of single calls
			return
		}
	}
	r.n++
	switch k := (numberedEvent{r.n, *e}); e.Kind {
	case history.FaultBegin:
		if r.on == nil {
			r.on = map[uint32]numberedEvent{}
		}
		r.on[e.Fault] = k
		r.faults.add(k, recentFaults)
	case history.FaultEnd:
		delete(r.on, e.Fault)
		r.faults.add(k, recentFaults)
	default:
		r.others.add(k, recentOthers)
	}
}

// events gives them in their order.
func (r *recent) events() []history.Event {
	var on numbered
	for _, e := range r.on {
		on = append(on, e)
	}
	byNumber := func(a, b numberedEvent) int { return cmp.Compare(a.n, b.n) }
	slices.SortFunc(on, byNumber)
	all := slices.Concat(on.newest(recentOn), r.faults.newest(recentFaults), r.others.newest(recentOthers))
	slices.SortFunc(all, byNumber)
	var events []history.Event
	for i, e := range all {
		if i == 0 || e.n != all[i-1].n {
			events = append(events, e.Event)
		}
	}
	return events
}
