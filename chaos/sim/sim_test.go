package sim

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/memstore"
)

func TestMain(m *testing.M) {
	if IsChild() {
		Serve(func(plant string) (*Seams, error) {
			if plant == engineless {
				return withoutEngine(), nil
			}
			return nil, errors.New("no bugs are planted here")
		})
	}
	if len(os.Args) == 2 && os.Args[1] == asHarness {
		beHarness()
		return
	}
	os.Exit(m.Run())
}

func testPool(t *testing.T) *Pool {
	t.Helper()
	p, remove, err := TempPool()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	p.Limit, p.Log = 2*time.Minute, os.Getenv("LOCKSTEP_SIM_LOG") != ""
	return p
}

func parse(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse(strings.NewReader(text), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func agree(t *testing.T, o Outcome) {
	t.Helper()
	if o.Result.Verdict.Judgement == check.Agreed {
		return
	}
	file := filepath.Join(os.TempDir(), "lockstep-failed.plan")
	t.Errorf("seed %d: %s\n%v\n%s", o.Plan.Seed, o.Result.Verdict.Sentence, o.Err, o.Output)
	if err := os.WriteFile(file, []byte(o.Plan.String()), 0o644); err == nil {
		t.Errorf("repeat it: LOCKSTEP_PLAN=%s go test ./chaos/sim -run TestPlanFile -v", file)
	}
}

func TestQuietCluster(t *testing.T) {
	o := testPool(t).Run(t.Context(), Job{Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=20s quiet=10s\n"+
		"workload name=demo seed=1 clients=4 rate=20 queries=0.1 duplicates=0.1\n"+
		"replica 1 tracker=prefetch checkpoint=50\nreplica 2 tracker=cow opt=none checkpoint=60\nreplica 3 tracker=compare\n")})
	agree(t, o)
	if o.Result.Commits < 100 || o.Result.Simulated < 20*time.Second {
		t.Errorf("%d rounds in %v", o.Result.Commits, o.Result.Simulated)
	}
}

// A message that uses up its fuel is rolled back, and answered alike, by every tracker at every level of optimisation.
func TestMessagesRunOutOfFuel(t *testing.T) {
	o := testPool(t).Run(t.Context(), Job{Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=20s quiet=10s\n"+
		"workload name=fuel seed=1 clients=4 rate=20 queries=0.1 duplicates=0.1\n"+
		"replica 1 tracker=prefetch opt=speed checkpoint=50\nreplica 2 tracker=cow opt=none checkpoint=60\nreplica 3 tracker=compare\n"+
		"at 5s for 500ms kill nodes=2\n")})
	agree(t, o)
	if n := o.Result.Verdict.Marks[history.MarkOutOfFuel]; n < 3 {
		t.Errorf("%d messages ran out of fuel", n)
	}
}

// A cluster to which nothing happens agrees, however little its clients send: somebody asks for rounds in the quiet ending.
func TestIdleClustersAgree(t *testing.T) {
	for _, workload := range []string{"clients=4 operations=10 rate=40", "clients=1 operations=1 rate=60", "clients=2 rate=0.01", "clients=2 rate=20 queries=1",
		"clients=2 rate=20 stale=1"} {
		agree(t, testPool(t).Run(t.Context(), Job{Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=2s quiet=8s\nworkload name=demo seed=1 "+workload+
			"\nreplica 1\nreplica 2\nreplica 3\n")}))
	}
}

// shape is that of the seeds in tests.
func shape() plan.Shape {
	s := plan.Shape{Opts: []string{"none", "speed"}, Workloads: []string{"small", "fuel", "uniform"}}
	for _, tracker := range memstore.Trackers() {
		s.Trackers = append(s.Trackers, string(tracker))
	}
	return s
}

// A short slice of seeds; LOCKSTEP_SEEDS=100-200 runs others.
func TestSeeds(t *testing.T) {
	from, to := uint64(1), uint64(20)
	if text := os.Getenv("LOCKSTEP_SEEDS"); text != "" {
		a, b, _ := strings.Cut(text, "-")
		from, _ = strconv.ParseUint(a, 10, 64)
		to, _ = strconv.ParseUint(b, 10, 64)
	}
	var batch check.Batch
	var cpu time.Duration
	var struck uint64
	testPool(t).RunAll(t.Context(), func(yield func(Job) bool) {
		for seed := from; seed <= to && yield(Job{Plan: plan.Generate(seed, shape())}); seed++ {
		}
	}, func(o Outcome) bool {
		batch.Add(o.Result.Verdict)
		cpu, struck = cpu+o.Result.CPU, struck+o.Result.Struck
		agree(t, o)
		return true
	})
	t.Logf("%s\n%v of processor time, %.0f faults a minute", batch.Sentence(nil), cpu, float64(struck)/cpu.Minutes())
}

// Plans that have found something are kept; those of real runs are simulated too, if they can be. With -short only what has failed in
// simulations runs.
func TestKeptPlans(t *testing.T) {
	pattern := "../../testdata/plan/*.plan"
	if testing.Short() {
		pattern = "../../testdata/plan/sim-*.plan"
	}
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no kept plans: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, string(text))
		if p.Supports(plan.Sim) == nil {
			t.Logf("%s", filepath.Base(name))
			agree(t, testPool(t).Run(t.Context(), Job{Plan: p}))
		}
	}
}

// TestPlanFile runs one plan again.
func TestPlanFile(t *testing.T) {
	name := os.Getenv("LOCKSTEP_PLAN")
	if name == "" {
		t.Skip("LOCKSTEP_PLAN is not set")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	o := testPool(t).Run(t.Context(), Job{Plan: parse(t, string(text)), History: os.Getenv("LOCKSTEP_HISTORY")})
	t.Log(o.Result.Verdict.Sentence)
	agree(t, o)
}

// The history that a child writes is one that can be judged again.
func TestHistoryIsJudgedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	o := testPool(t).Run(t.Context(), Job{Plan: plan.Generate(3, shape()), History: path})
	agree(t, o)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := history.Read(file, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	v := check.Judge(t.Context(), log, check.Config{})
	if v.Judgement != check.Agreed || v.Totals.Rounds != o.Result.Verdict.Totals.Rounds {
		t.Errorf("judged again: %s", v.Sentence)
	}
}

// A canister that does not let itself be installed ends the run at once, with its reason and what to do.
func TestInstallThatTraps(t *testing.T) {
	for name, c := range map[string]struct{ init, reason string }{
		"trap":    {`unreachable`, "install canister trap with an empty argument: trapped: "},
		"endless": {`(loop $l (br $l))`, "install canister endless with an empty argument: out-of-fuel: "},
	} {
		m, err := workload.ParseModule(name, []byte(`(module (func (export "canister_init") `+c.init+`) (func (export "canister_update go")))`))
		if err != nil {
			t.Fatal(err)
		}
		load := &workload.Load{Name: name, Text: []byte(`{"canister":"` + name + `","method":"go"}`), Modules: []workload.Module{m}}
		o := testPool(t).Run(t.Context(), Job{Load: load, Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=20s quiet=10s\n"+
			"workload name="+name+" seed=1 clients=1 rate=20\nreplica 1\nreplica 2\nreplica 3\n")})
		said := o.Result.Verdict.Sentence
		if o.Result.Verdict.Judgement == check.Agreed || !strings.Contains(said, c.reason) || !strings.Contains(said, "--init") {
			t.Errorf("%s: verdict %q, error %v; want %q", name, said, o.Err, c.reason)
		}
	}
}
