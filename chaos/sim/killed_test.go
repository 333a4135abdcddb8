package sim

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/plan"
)

// asHarness makes this test program one that runs a simulation of a day, until it is killed.
const asHarness = "lockstep-sim-harness"

func beHarness() {
	pool, _, err := TempPool()
	if err != nil {
		fmt.Println("no pool:", err)
		return
	}
	fmt.Println(pool.Dir)
	p, err := plan.Parse(strings.NewReader("lockstep-plan 1\nseed 1\ntime run=24h quiet=10s\nworkload name=demo seed=1 clients=4 rate=50\n"+
		"replica 1\nreplica 2\nreplica 3\n"), "plan")
	if err != nil {
		fmt.Println("no plan:", err)
		return
	}
	o := pool.Run(context.Background(), Job{Plan: p})
	fmt.Println("the simulation is over:", o.Result.Verdict.Sentence, o.Err)
}

// Whoever kills the harness of a simulation ends that too, and leaves nothing for ever: the next pool removes the folder.
func TestKilledHarnessLeavesNothing(t *testing.T) {
	harness := exec.Command(os.Args[0], asHarness)
	told, err := harness.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = harness.Process.Kill() }() // if the test ends before
	lines := bufio.NewScanner(told)
	if !lines.Scan() {
		t.Fatal("the harness says nothing")
	}
	dir := lines.Text()
	until(t, "the simulation has a cluster", func() bool {
		homes, _ := filepath.Glob(filepath.Join(dir, "lockstep-sim-*"))
		return len(homes) > 0
	})
	children := childrenOf(harness.Process.Pid)
	if len(children) == 0 {
		t.Error("the harness has no child")
	}
	if err := harness.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = harness.Wait() // it was killed
	until(t, "the simulation has ended", func() bool { return !slices.ContainsFunc(children, stillRuns) })
	pool, remove, err := TempPool()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is still there beside %s", dir, pool.Dir)
		os.RemoveAll(dir)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}

// until waits for a condition; how long is not what a test is about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func childrenOf(pid int) []string {
	var found []string
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		found = append(found, strings.Fields(string(text))...)
	}
	return found
}

// stillRuns reports whether a process runs: one that has ended may still be in the table.
func stillRuns(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// An interrupted simulation has no verdict and is no failure either, and those that are over are told.
func TestInterruptedSimulations(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pool := testPool(t)
	over := 0
	pool.RunAll(ctx, func(yield func(Job) bool) {
		for seed := uint64(1); yield(Job{Plan: plan.Generate(seed, plan.Shape{Time: plan.Time{Run: time.Second}})}); seed++ {
		}
	}, func(o Outcome) bool {
		if over++; over == 3 {
			cancel()
		}
		agree(t, o)
		return true
	})
	if over != 3 {
		t.Errorf("%d runs are over", over)
	}
	o := pool.Run(ctx, Job{Plan: plan.Generate(1, shape())})
	if v := o.Result.Verdict; o.Err != ErrInterrupted || v.Judgement.ExitCode() != 2 || !strings.Contains(v.Sentence, "interrupted after") {
		t.Errorf("%v: %s", o.Err, v.Sentence)
	}
}
