package check

import (
	"fmt"
	"slices"
	"strings"
)

// conclude draws the conclusion from the findings.
func (s *Suite) conclude(v *Verdict) (Judgement, string) {
	var wrong []string
	for _, f := range v.Findings {
		if f.State == Broken {
			wrong = append(wrong, f.Violation.String())
		}
	}
	if len(wrong) > 0 {
		leading := s.leading(v)
		v.Leading = leading.Checker
		text := "VIOLATION: " + leading.String()
		if n := len(wrong) - 1; n > 0 {
			text += fmt.Sprintf(" (%s found too)", plural(uint64(n), "more violation was", "more violations were"))
		}
		return Violated, text + "."
	}
	var open []string
	if s.early != "" {
		open = append(open, "the run ended early: "+s.early)
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.State == Open || f.State == Unseen && s.required(f.Checker) {
			open = append(open, f.Checker+": "+f.Reason)
		}
	}
	if s.early != "" && len(open) == 1 {
		open[0] += ", and everything held until then"
	}
	if len(open) > 0 {
		return Undecided, "UNDECIDED: " + strings.Join(open, "; ") + "."
	}
	return Agreed, s.agreed(v)
}

// leading is the violation that was found first.
//
// Preconditions: there is one.
func (s *Suite) leading(v *Verdict) *Violation {
	if s.first != nil {
		return s.first
	}
	return v.Findings[slices.IndexFunc(v.Findings, func(f Finding) bool { return f.State == Broken })].Violation
}

func (s *Suite) required(name string) bool {
	for _, e := range registry {
		if e.name == name {
			return e.required
		}
	}
	return false
}

// agreed is the sentence of a run in which all held.
func (s *Suite) agreed(v *Verdict) string {
	struck, held := 0, 0
	for _, f := range v.Faults {
		if f.Struck > 0 {
			struck++
		}
	}
	var excused []string
	for _, f := range v.Findings {
		switch f.State {
		case Held:
			held++
		case Excused:
			excused = append(excused, f.Checker)
		}
	}
	text := fmt.Sprintf("AGREED: %s had the same root after every one of %s; %s, %d with an unknown outcome; %d of %s had an effect; %s held",
		plural(uint64(s.cfg.Header.Replicas), "replica", "replicas"), plural(v.Totals.Rounds, "round", "rounds"),
		plural(v.Totals.OK, "call was answered", "calls were answered"), v.Totals.Unknown,
		struck, plural(uint64(len(v.Faults)), "fault", "faults"), plural(uint64(held), "check", "checks"))
	if len(excused) > 0 {
		text = strings.Replace(text, "had the same root after every one of", "ran", 1)
		text += fmt.Sprintf("; the plan goes beyond what a cluster must survive, and what it admits happened: %s", strings.Join(excused, ", "))
	}
	return text + "."
}
