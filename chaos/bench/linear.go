package bench

import (
	"fmt"
	"slices"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/figure"
)

// linear judges a long history of many calls at a time by the round as witness, and by the second opinion beside it.
func (b *run) linear() error {
	events := manyCalls(b.Calls)
	for _, of := range []struct {
		work     string
		goal     time.Duration
		checkers []string
	}{
		{"linearizability", time.Second, []string{"linearizability"}},
		{"the same with the second opinion", 0, []string{"linearizability", "second-opinion"}},
	} {
		without := slices.DeleteFunc(check.Names(), func(name string) bool { return slices.Contains(of.checkers, name) })
		began := time.Now()
		s := check.New(check.Config{Header: history.Header{Format: 1, Replicas: 3}, Without: without})
		for i := range events {
			if v := s.Observe(&events[i]); v != nil {
				return fmt.Errorf("a history that is linearizable: %s", v)
			}
		}
		v := s.Finish(b.ctx)
		took := time.Since(began)
		for _, f := range v.Findings {
			if slices.Contains(of.checkers, f.Checker) && f.State != check.Held {
				return fmt.Errorf("%s did not decide: %s", f.Checker, f.Reason)
			}
		}
		f := figure.Figure{Work: fmt.Sprintf("%s of %d calls of %d clients", of.work, b.Calls, callers),
			Measured: fmt.Sprintf("%.2f s, decided", took.Seconds()), Values: map[string]float64{"s": took.Seconds()}}
		if of.goal > 0 {
			f.Goal, f.Met = "1 s, never unknown", took <= of.goal
		}
		b.figure(f)
	}
	return nil
}

const callers = 32

// manyCalls is a history of calls, as many of which are open at a time as there are clients.
func manyCalls(calls int) []history.Event {
	events := make([]history.Event, 0, 2*calls)
	sequence := make([]uint64, callers)
	at := time.Duration(0)
	for op, round := uint64(1), uint64(1); op <= uint64(calls); round++ {
		first := op
		for client := uint32(0); client < callers && op <= uint64(calls); client++ {
			at++
			e := history.Event{At: at, Kind: history.Invoked, Op: op, Client: client, Class: history.Query}
			if client%4 != 3 {
				sequence[client]++
				e.Class, e.Session, e.Sequence = history.Update, uint64(client)+1, sequence[client]
			}
			events = append(events, e)
			op++
		}
		for o := first; o < op; o++ {
			at++
			e := history.Event{At: at, Kind: history.Returned, Op: o, Outcome: history.OK, Round: round, Index: round}
			if (o-first)%4 != 3 {
				e.Ran = round
			}
			events = append(events, e)
		}
	}
	return events
}
