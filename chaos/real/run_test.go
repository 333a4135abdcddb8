package real_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/real"
	"lockstep/chaos/report"
)

const shortPlan = `lockstep-plan 1
seed 11
time run=2.6s quiet=20s window=100ms
cluster election=300ms
replica 1 tracker=adaptive checkpoint=15 trailing=16
replica 2 tracker=cow opt=none checkpoint=20 trailing=16
replica 3 tracker=compare workers=1 checkpoint=25 trailing=16
workload name=demo seed=11 clients=4 rate=120 queries=0.1 duplicates=0.2
`

// run runs the short plan with faults and gives its result and its history.
func run(t *testing.T, o real.Options, faults ...string) (real.Result, *history.Log) {
	t.Helper()
	return runText(t, o, shortPlan+strings.Join(faults, "\n")+"\n")
}

// runText runs a plan.
func runText(t *testing.T, o real.Options, text string) (real.Result, *history.Log) {
	t.Helper()
	p, err := plan.Parse(strings.NewReader(text), "plan")
	if err != nil {
		t.Fatal(err)
	}
	if o.Program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if o.Args == nil {
		o.Args = []string{asReplica}
	}
	o.Args, o.Dir, o.Scratch = append([]string{o.Program}, o.Args...), filepath.Join(t.TempDir(), "report"), t.TempDir()
	result, err := real.Run(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := report.Load(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(o.Scratch); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return result, l.Log
}

func count(l *history.Log, k history.Kind) int {
	n := 0
	for i := range l.Events {
		if l.Events[i].Kind == k {
			n++
		}
	}
	return n
}

func TestRunSurvivesFaults(t *testing.T) {
	result, l := run(t, real.Options{},
		"at 200ms for 50ms kill nodes=follower",
		"at 600ms for 300ms fsync-error nodes=2",
		"at 1.1s for 300ms cut nodes=3 to=others mode=half-open",
		"at 1.6s corrupt-checkpoint nodes=1 mode=flip",
		"at 2.3s for 200ms pause nodes=follower")
	if result.Verdict.Judgement != check.Agreed {
		t.Fatalf("%s", result.Verdict.Sentence)
	}
	if result.Faults != 5 || result.Struck < 4 || result.Verified < 4 || result.Converged == 0 {
		t.Errorf("%d faults, %d with an effect, %d verified, equal after %v", result.Faults, result.Struck, result.Verified, result.Converged)
	}
	for kind, least := range map[history.Kind]int{history.Started: 5, history.Crashed: 2, history.Appended: 60, history.Published: 3,
		history.Voted: 2, history.RoleChanged: 3, history.Damaged: 1, history.Gauge: 3} {
		if n := count(l, kind); n < least {
			t.Errorf("%d events %s, at least %d should be there", n, kind, least)
		}
	}
	for _, f := range result.Verdict.Findings {
		if slices.Contains([]string{"log-matching", "committed-kept", "replay-equivalence", "checkpoint-truth", "exactly-once"}, f.Checker) && f.State != check.Held {
			t.Errorf("%s is %s: %s", f.Checker, f.State, f.Reason)
		}
	}
}

// Clients that send nothing but queries make no round: somebody asks for rounds in the quiet ending.
func TestRunOfQueriesAgrees(t *testing.T) {
	text := strings.Replace(shortPlan, "queries=0.1 duplicates=0.2", "operations=20 queries=1", 1)
	text = strings.Replace(text, "run=2.6s quiet=20s", "run=300ms quiet=5s", 1)
	result, l := runText(t, real.Options{}, text)
	if result.Verdict.Judgement != check.Agreed || result.Converged == 0 || count(l, history.Invoked) == 0 {
		t.Errorf("equal after %v: %s", result.Converged, result.Verdict.Sentence)
	}
}

// A replica that stands still when it is asked to stop is woken up, and stops in order.
func TestStopOfAPausedReplica(t *testing.T) {
	result, l := run(t, real.Options{}, "at 200ms for 900ms pause nodes=leader", "at 500ms for 100ms restart nodes=1,2,3")
	if result.Verdict.Judgement != check.Agreed {
		t.Fatalf("%s", result.Verdict.Sentence)
	}
	stopped := 0
	for i := range l.Events {
		if e := &l.Events[i]; e.Kind == history.Stopped {
			stopped++
			if e.Text != "asked to" {
				t.Errorf("node %d: %s", e.Node, e.Text)
			}
		}
	}
	if stopped != 3 {
		t.Errorf("%d replicas were stopped", stopped)
	}
}

// Raft hands the leadership over, a full disk takes no entry and messages run out of fuel: each is seen to have happened.
func TestRarePathsAreReached(t *testing.T) {
	text := strings.Replace(shortPlan, "name=demo", "name=fuel", 1)
	text += "at 300ms transfer to=follower\nat 1.2s for 300ms full-disk nodes=2 bytes=1\n"
	result, _ := runText(t, real.Options{}, text)
	if result.Verdict.Judgement != check.Agreed || result.Struck != 2 || result.Verified != 2 {
		t.Errorf("%d faults had an effect, %d are verified: %s", result.Struck, result.Verified, result.Verdict.Sentence)
	}
	for _, m := range []history.MarkName{history.MarkTransfer, history.MarkDiskFull, history.MarkOutOfFuel} {
		if result.Verdict.Marks[m] == 0 {
			t.Errorf("%s did not happen", m)
		}
	}
}

func TestLyingReplicaIsFound(t *testing.T) {
	result, _ := run(t, real.Options{Lie: true})
	if result.Verdict.Judgement != check.Violated {
		t.Fatalf("%s", result.Verdict.Sentence)
	}
	text := ""
	for _, f := range result.Verdict.Findings {
		if f.Violation != nil {
			text += strings.Join(f.Violation.Where, "\n")
		}
	}
	wanted := []string{"is not the same in the logs of", "kv.put"}
	for _, f := range result.Verdict.Findings {
		if f.Checker == "root-agreement" && f.State == check.Broken { // the lie had reached the states when it was found
			wanted = append(wanted, "canister kv, page")
		}
	}
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, text)
		}
	}
}

func TestDrawnPlansCanBeRun(t *testing.T) {
	for seed := range uint64(300) {
		p := real.Draw(seed+1, plan.Shape{})
		if err := p.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed+1, err)
		}
		if err := real.Supports(p); err != nil {
			t.Fatalf("seed %d: %v", seed+1, err)
		}
	}
}

func TestSupportsRefusesWhatNeedsASimulation(t *testing.T) {
	for _, fault := range []string{
		"at 1s for 1s crash nodes=1",
		"at 1s for 1s crash-in nodes=1 mode=append power=torn",
		"at 1s for 1s crash-in nodes=1 mode=restore",
		"at 1s for 1s disk-error nodes=1 op=checkpoint",
	} {
		p, err := plan.Parse(strings.NewReader(shortPlan+fault+"\n"), "plan")
		if err != nil {
			t.Fatal(err)
		}
		if err := real.Supports(p); err == nil {
			t.Errorf("%q is not refused", fault)
		}
	}
}

// TestKeptPlans runs what failed on real processes once, and one plan of many faults; the others run simulated.
func TestKeptPlans(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "plan", "*.plan"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no kept plans: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.Parse(strings.NewReader(string(text)), file)
		if err != nil {
			t.Error(err)
			continue
		}
		if name := filepath.Base(file); name != "kills.plan" && !strings.HasPrefix(name, "real-") {
			continue
		}
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		result, err := real.Run(t.Context(), p, real.Options{Program: program, Args: []string{program, asReplica},
			Dir: filepath.Join(t.TempDir(), "report"), Scratch: t.TempDir()})
		if err != nil || result.Verdict.Judgement != check.Agreed {
			t.Errorf("%s: %s, %v", file, result.Verdict.Sentence, err)
		}
		t.Logf("%s: %.0f verified faults a minute", file, result.PerMinute())
	}
}
