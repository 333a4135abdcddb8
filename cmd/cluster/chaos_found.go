package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"lockstep/chaos/check"
)

// tally is how many runs of a batch have shown something, and the first seed of these.
type tally struct {
	Runs  int    `json:"runs"`
	First uint64 `json:"first"`
}

// chaosFound sums up what the runs of a batch with a violation have found: the check that found something first in each, and what bare raft
// is known to do wrong behind it.
type chaosFound struct {
	checks, causes map[string]*tally
}

// unattributed are violations of bare raft behind which there is none of the known defects.
const unattributed = "not attributed"

func (f *chaosFound) add(seed uint64, r *chaosRun) {
	if r.verdict.Judgement != check.Violated {
		return
	}
	if f.checks == nil {
		f.checks, f.causes = map[string]*tally{}, map[string]*tally{}
	}
	count(f.checks, r.verdict.Leading, seed)
	for _, d := range r.causes {
		count(f.causes, string(d), seed)
	}
	if len(r.causes) == 0 && r.bare {
		count(f.causes, unattributed, seed)
	}
}

func count(in map[string]*tally, what string, seed uint64) {
	t := in[what]
	if t == nil {
		t = &tally{First: seed}
		in[what] = t
	}
	t.Runs, t.First = t.Runs+1, min(t.First, seed)
}

// print lists them, the most frequent first.
func (f *chaosFound) print(w io.Writer) {
	for _, part := range []struct {
		title string
		of    map[string]*tally
	}{{"found by", f.checks}, {"because of", f.causes}} {
		names := slices.SortedFunc(maps.Keys(part.of), func(a, b string) int {
			return cmp.Or(-cmp.Compare(part.of[a].Runs, part.of[b].Runs), cmp.Compare(a, b))
		})
		for _, name := range names {
			fmt.Fprintf(w, "%-11s %-60s %4d of the runs, seed %d first\n", part.title, name, part.of[name].Runs, part.of[name].First)
		}
	}
}
