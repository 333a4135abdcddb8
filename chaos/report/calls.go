package report

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// pictureCalls is how many calls a picture of linearizability shows: more cannot be looked at.
const pictureCalls = 120

// Picture writes porcupine's picture of the calls up to the first violation of linearizability, or of the newest ones.
func Picture(w io.Writer, l *history.Log, v check.Verdict) error {
	calls, until := apart(l.Events, until(v))
	ops := check.Answered((&history.Log{Events: calls}).Operations())
	end := len(ops)
	for end > 0 && ops[end-1].Call > int64(until) {
		end--
	}
	ops = ops[max(0, end-pictureCalls):end]
	_, info := porcupine.CheckOperationsVerbose(check.Model(), ops, pictureTime)
	return porcupine.Visualize(check.Model(), info, w)
}

// until is the moment up to which calls are drawn: the first violation of linearizability, or NoReturn.
func until(v check.Verdict) time.Duration {
	for _, f := range v.Findings {
		if f.Checker == "linearizability" && f.Violation != nil {
			return f.Violation.At
		}
	}
	return history.NoReturn
}

// apart gives the beginnings and ends of calls, each at a moment of its own, nanoseconds later than it was, and the moment to which
// until has moved. In virtual time a client goes on in the moment that answers it, and the picture would draw its next call over the
// end of the one before. What happened at one moment stays in the order in which it was recorded.
func apart(events []history.Event, until time.Duration) (calls []history.Event, moved time.Duration) {
	for _, e := range events {
		if e.Kind == history.Invoked || e.Kind == history.Returned {
			calls = append(calls, e)
		}
	}
	slices.SortStableFunc(calls, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
	moved, last := until, time.Duration(-1)
	for i := range calls {
		at := calls[i].At
		calls[i].At = max(at, last+1)
		if last = calls[i].At; at <= until {
			moved = max(moved, last)
		}
	}
	return calls, moved
}
