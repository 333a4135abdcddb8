package plant

import (
	"slices"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/sim"
)

// A violation of a run that a plan for one defect provokes on bare raft is attributed to that defect.
func TestDefectsAreAttributed(t *testing.T) {
	pool := testPool(t)
	for name, want := range map[string]Defect{"raft-install-livelock": InstallLivelock, "raft-stale-install": StaleInstall,
		"raft-bad-checkpoint-panic": BadCheckpoint, "raft-pipeline-wedge": PipelineWedge} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(All(), func(p Plant) bool { return p.Name == name })
			seen := map[Defect]int{}
			for seed := range uint64(20) {
				p, err := All()[i].Plan(seed + 1)
				if err != nil {
					t.Fatal(err)
				}
				causes := Causes(pool.Run(t.Context(), sim.Job{Plan: p, Plant: BareRaft}))
				if slices.Contains(causes, want) {
					return
				}
				for _, d := range causes {
					seen[d]++
				}
			}
			t.Errorf("20 runs were attributed to %v, none to %s", seen, want)
		})
	}
}

// A violation without any of the defects' traces is attributed to none, and nothing is attributed to a run that agreed.
func TestNothingIsAttributedWithoutTraces(t *testing.T) {
	w := &witness{nodes: map[int]*watched{}, blocked: map[*sending]bool{}}
	stands := &check.Verdict{Judgement: check.Violated, Leading: "liveness", Findings: []check.Finding{
		{Checker: "liveness", State: check.Broken, Violation: &check.Violation{Checker: "liveness", Sentence: "node 1 is at round 3 of 9", Nodes: []int{1}}}}}
	install := func(term uint64) {
		for range againAndAgain {
			w.event(&history.Event{Kind: history.Installed, Node: 1, Index: 10, Term: term})
		}
	}
	for i := range uint64(12) {
		w.event(&history.Event{Kind: history.Appended, Node: 1, Index: i + 1, Term: 2})
	}
	install(2)
	if got := w.causes(stands); got != nil {
		t.Errorf("a log that holds the checkpoint's last entry: %v", got)
	}
	w.event(&history.Event{Kind: history.Appended, Node: 1, Index: 13, Term: 2})
	install(3)
	if got := w.causes(stands); !slices.Equal(got, []string{string(InstallLivelock)}) {
		t.Errorf("a log that contradicts it: %v", got)
	}
	if got := w.causes(&check.Verdict{Judgement: check.Agreed, Leading: "liveness", Findings: stands.Findings}); got != nil {
		t.Errorf("an agreed run: %v", got)
	}
}
