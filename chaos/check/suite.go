package check

import (
	"context"

	"lockstep/chaos/history"
)

// Config says what to judge by.
type Config struct {
	Header history.Header
	// Bounds are the sizes that gauges must keep to; nil means DefaultBounds.
	Bounds []Bound
	// Replays are run at the end; none leaves replay equivalence unseen.
	Replays []Replay
	// Before is the verdict that the run had, if it is judged again: what its history cannot give again is taken from there. nil if it had
	// none.
	Before *Verdict
	// Window is how many of the newest rounds, and log indexes, stay comparable; 0 means 1<<20.
	Window uint64
	// Without leaves checkers out, by name: for judging the checkers.
	Without []string
}

// checker is one checker. observe is given every event in order and returns the first violation, then it is not called again.
type checker interface {
	observe(e *history.Event) *Violation
	finish() Finding
}

// Suite is all checkers on one run. It is for one goroutine at a time. The same events give the same verdict, whether they come
// from a running cluster or from a file.
type Suite struct {
	cfg      Config
	checkers []running
	fired    *fired
	porcu    *secondOpinion
	truth    *truth
	logs     *logModel
	calls    history.Calls
	totals   Totals
	before   recent
	told     told
	first    *Violation
	// ended: the history has its end, so that what is not in it did not happen. early says why that came before the plan's.
	ended bool
	early string
}

// running is a checker at work.
type running struct {
	entry
	checker
	found *Violation
}

// New starts with no events.
func New(c Config) *Suite {
	if c.Window == 0 {
		c.Window = 1 << 20
	}
	if c.Bounds == nil {
		c.Bounds = DefaultBounds()
	}
	s := &Suite{cfg: c, truth: newTruth(c.Window), logs: newLogModel(c.Header.Replicas)}
	for _, e := range registry {
		if !contains(c.Without, e.name) {
			s.checkers = append(s.checkers, running{entry: e, checker: e.start(s)})
		}
	}
	return s
}

// Observe takes the next event. It returns the violation that the event brings to light, or nil; one that the plan admits is
// kept for the verdict and not returned. After a violation it goes on: what else is wrong may explain it.
func (s *Suite) Observe(e *history.Event) *Violation {
	s.totals.Events++
	s.totals.Duration = max(s.totals.Duration, e.At)
	var found *Violation
	for i := range s.checkers {
		r := &s.checkers[i]
		if r.found != nil {
			continue
		}
		if v := r.observe(e); v != nil {
			v.Checker, v.Before = r.name, s.before.events()
			s.told.complete(v)
			r.found = v
			if found == nil && !s.excuses(&r.entry) {
				found = v
			}
		}
	}
	s.learn(e)
	if s.first == nil {
		s.first = found
	}
	return found
}

// learn updates what checkers share, after they have seen the event.
func (s *Suite) learn(e *history.Event) {
	switch e.Kind {
	case history.Ended:
		s.ended, s.early = true, e.Text
	case history.Applied:
		s.truth.learn(e)
	case history.Returned:
		switch e.Outcome {
		case history.OK:
			s.totals.OK++
		case history.Refused:
			s.totals.Refused++
		case history.Unknown:
			s.totals.Unknown++
		}
	}
	s.logs.learn(e)
	s.calls.Observe(e)
	s.before.add(e)
	s.told.learn(e)
}

// absent is for what is broken because the history lacks something: open in a history that breaks off, as that of a run whose recorder was
// killed.
func (s *Suite) absent(f *Finding, v *Violation) {
	if s.ended {
		f.State, f.Violation = Broken, v
		return
	}
	f.State, f.Reason = Open, "the history has no end, and until it breaks off "+v.Sentence
}

// excuses reports whether the plan admits a violation of the checker.
func (s *Suite) excuses(e *entry) bool {
	return e.losable && s.cfg.Header.MayLose || e.stallable && s.cfg.Header.MayStall
}

// First is the first violation that Observe returned, or nil.
func (s *Suite) First() *Violation { return s.first }

// Finish runs the checks of the end and draws the conclusion. ctx bounds the replays. The Suite must not be used after it.
func (s *Suite) Finish(ctx context.Context) Verdict {
	v := Verdict{Totals: s.totals}
	v.Totals.Unknown += uint64(s.calls.Open())
	v.Totals.Rounds = s.truth.newest
	for i := range s.checkers {
		r := &s.checkers[i]
		f := r.finish()
		if p, ok := r.checker.(*replayed); ok {
			f = p.run(ctx)
		}
		f.Checker = r.name
		if r.found != nil {
			f.State, f.Violation = Broken, r.found
		}
		if old := s.outside(r.name); old != nil && f.Violation == nil {
			f = *old
		}
		if f.Violation != nil {
			f.Violation.Checker = r.name
			s.told.complete(f.Violation)
			if f.State, f.Reason = Broken, f.Violation.Sentence; s.excuses(&r.entry) {
				f.State = Excused
			}
		}
		v.Findings = append(v.Findings, f)
	}
	if s.fired != nil {
		v.Faults, v.Marks = s.fired.faults(), s.fired.marks
	}
	v.Judgement, v.Sentence = s.conclude(&v)
	if b := s.cfg.Before; b != nil && b.Judgement == HarnessError && v.Judgement != Violated {
		v.Judgement, v.Sentence = HarnessError, b.Sentence
	}
	return v
}

// outside is the finding of a checker in the verdict before that the history cannot give again; nil if there is none.
func (s *Suite) outside(checker string) *Finding {
	if s.cfg.Before == nil {
		return nil
	}
	for i := range s.cfg.Before.Findings {
		if f := &s.cfg.Before.Findings[i]; f.Checker == checker && f.Outside {
			return f
		}
	}
	return nil
}

// Judge judges a whole history.
func Judge(ctx context.Context, l *history.Log, c Config) Verdict {
	c.Header = l.Header
	s := New(c)
	for i := range l.Events {
		s.Observe(&l.Events[i])
	}
	return s.Finish(ctx)
}
