package check

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/chaos/history"
)

// Batch sums up the verdicts of many runs. The zero value is an empty one.
type Batch struct {
	// Runs counts them by judgement.
	Runs [4]uint64
	// Marks counts the rare paths, Struck the effects of faults by kind (the first word of their lines behind the times).
	Marks  map[history.MarkName]uint64
	Struck map[string]uint64
	Rounds uint64
	Calls  uint64
}

// Add takes a run's verdict.
func (b *Batch) Add(v Verdict) {
	if b.Marks == nil {
		b.Marks, b.Struck = map[history.MarkName]uint64{}, map[string]uint64{}
	}
	if int(v.Judgement) < len(b.Runs) {
		b.Runs[v.Judgement]++
	}
	for m, n := range v.Marks {
		b.Marks[m] += n
	}
	for _, f := range v.Faults {
		b.Struck[faultKind(f.Text)] += f.Struck
	}
	b.Rounds += v.Totals.Rounds
	b.Calls += v.Totals.OK
}

// faultKind is the kind of a fault's line: "at 3s for 1s crash nodes=2" is a crash.
func faultKind(line string) string {
	words := strings.Fields(line)
	for len(words) > 2 && (words[0] == "at" || words[0] == "for") {
		words = words[2:]
	}
	if len(words) == 0 {
		return "?"
	}
	return words[0]
}

// Missing are the rare paths, of those that the caller wants, that no run has reached; nil wants all. A batch that misses one has
// proved nothing about it.
func (b *Batch) Missing(wanted []history.MarkName) []history.MarkName {
	if wanted == nil {
		wanted = history.MarkNames()
	}
	var missing []history.MarkName
	for _, m := range wanted {
		if b.Marks[m] == 0 {
			missing = append(missing, m)
		}
	}
	return missing
}

// Idle are the kinds of faults that were planned and never had an effect, sorted.
func (b *Batch) Idle() []string {
	var idle []string
	for kind, n := range b.Struck {
		if n == 0 {
			idle = append(idle, kind)
		}
	}
	slices.Sort(idle)
	return idle
}

// Judgement is the worst of the runs': a violation, then a failure of the harness, then undecided. A batch without runs, or that
// misses a mark, is undecided at best.
func (b *Batch) Judgement(wanted []history.MarkName) Judgement {
	for _, j := range []Judgement{Violated, HarnessError, Undecided} {
		if b.Runs[j] > 0 {
			return j
		}
	}
	if b.Runs[Agreed] == 0 || len(b.Missing(wanted)) > 0 {
		return Undecided
	}
	return Agreed
}

// Sentence says it in words.
func (b *Batch) Sentence(wanted []history.MarkName) string {
	total := uint64(0)
	for _, n := range b.Runs {
		total += n
	}
	text := fmt.Sprintf("%s: %d agreed, %d with a violation, %d undecided, %d failed; %d rounds, %d calls.", plural(total, "run", "runs"),
		b.Runs[Agreed], b.Runs[Violated], b.Runs[Undecided], b.Runs[HarnessError], b.Rounds, b.Calls)
	if missing := b.Missing(wanted); len(missing) > 0 {
		var words []string
		for _, m := range missing {
			words = append(words, string(m))
		}
		text += fmt.Sprintf(" Nothing is proved about what never happened: %s.", strings.Join(words, ", "))
	}
	if idle := b.Idle(); len(idle) > 0 {
		text += fmt.Sprintf(" These faults never had an effect: %s.", strings.Join(idle, ", "))
	}
	return text
}
