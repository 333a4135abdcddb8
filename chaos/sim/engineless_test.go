package sim

import (
	"testing"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// engineless names the seams of runs whose state machines have no engine: sessions, rounds, checkpoints and the management canister
// are all that they have, and all that such a run's clients use.
const engineless = "engineless"

func withoutEngine() *Seams {
	return &Seams{NewMachine: func(_ int, cfg fsm.Config) (Machine, error) { return fsm.New(cfg) }}
}

func enginelessLoad() *workload.Load {
	return &workload.Load{Name: engineless, Text: []byte(`{"canister":"aaaaa-aa","method":"raw_rand","base64":"RElETAAA"}
{"canister":"aaaaa-aa","method":"canister_status","base64":"RElETAAA"}
{"canister":"aaaaa-aa","method":"raw_rand","query":true}
`)}
}

// The cluster needs no engine: it compiles, and runs through faults, where there is none. Repository tests run this one without cgo, too.
func TestWithoutAnEngine(t *testing.T) {
	o := testPool(t).Run(t.Context(), Job{Plant: engineless, Load: enginelessLoad(), Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=30s quiet=15s window=3s\n"+
		"workload name="+engineless+" seed=1 clients=4 rate=60 queries=0.1 duplicates=0.1\n"+
		"replica 1 checkpoint=40 kept=2 trailing=16\nreplica 2 checkpoint=40 kept=2 trailing=16\nreplica 3 checkpoint=50 kept=2 trailing=16\n"+
		"at 2s for 1s kill nodes=leader\nat 8s for 4s partition nodes=follower\nat 16s for 2s wipe nodes=follower mode=careful\n")})
	agree(t, o)
	v := o.Result.Verdict
	if o.Result.Commits < 300 || v.Marks[history.MarkInstall] == 0 {
		t.Errorf("%d rounds, marks %v: %s", o.Result.Commits, v.Marks, v.Sentence)
	}
	t.Log(v.Sentence)
}

// A plan that is drawn for real canisters agrees without them.
func TestSeedsWithoutAnEngine(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		agree(t, testPool(t).Run(t.Context(), Job{Plant: engineless, Load: enginelessLoad(), Plan: plan.Generate(seed, shape())}))
	}
}
