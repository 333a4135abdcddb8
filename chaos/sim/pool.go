package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/tempdir"
	"lockstep/chaos/workload"
)

// Job is one plan to run in a child process.
type Job struct {
	Plan *plan.Plan
	// Plant names a planted bug; "" for none.
	Plant string
	// Load is as in Options.
	Load *workload.Load
	// History and Faults are the paths of files to write; "" for none.
	History, Faults string
	// Rerun and Shrink are the commands that a report tells.
	Rerun, Shrink string
}

// Outcome is what became of a job.
type Outcome struct {
	Job
	Result Result
	// Err is set if the child gave no result for reasons of its own; the verdict says so too.
	Err error
	// Output is the end of what the child printed, for one that died.
	Output string
	// Took is real time, with starting the child.
	Took time.Duration
	// limit is what it may take.
	limit time.Duration
}

// Pool runs plans in child processes: this program, started again. A panic ends one run and is its result.
type Pool struct {
	// Parallel is how many run at a time; 0 means 1.
	Parallel int
	// Dir is where replicas' files lie; "" is the system's temporary folder. A folder in memory is several times faster.
	Dir string
	// Modules keeps compiled modules for all runs; "" compiles them in each.
	Modules string
	// Limit bounds each run in real time; 0 means the LimitOf its plan.
	Limit time.Duration
	// Program is told in histories; Log prints the replicas' logs to the children's standard error.
	Program string
	Log     bool
}

// LimitOf is the real time in which a plan must have been simulated. Most take less than a second, and the slowest of drawn ones go at some
// thirty times real time on a busy machine; what takes longer than this is stuck.
func LimitOf(p *plan.Plan) time.Duration {
	const least, slowest = 2 * time.Minute, 10 // times real time
	return least + (p.Time.Run+p.Time.Quiet)/slowest
}

// TempPool makes a Pool with a folder of its own for the replicas' files and compiled modules, in memory where the machine has such a
// folder. The caller must call remove; if it is killed, the next TempPool of any process does.
func TempPool() (pool *Pool, remove func() error, err error) {
	const inMemory, prefix = "/dev/shm", "lockstep-sim-"
	dir, err := tempdir.Make(inMemory, prefix)
	if err != nil {
		dir, err = tempdir.Make("", prefix)
	}
	if err != nil {
		return nil, nil, err
	}
	modules := filepath.Join(dir.Path, "modules")
	if err := os.Mkdir(modules, 0o755); err != nil {
		return nil, nil, errors.Join(err, dir.Remove())
	}
	return &Pool{Dir: dir.Path, Modules: modules}, dir.Remove, nil
}

// ErrInterrupted is the Err of a run that was ended because the context did: it has no verdict but that.
var ErrInterrupted = errors.New("the simulation was ended on the way")

// Run runs one plan.
func (p *Pool) Run(ctx context.Context, j Job) Outcome {
	began := time.Now()
	o := Outcome{Job: j}
	o.Err = p.run(ctx, &o)
	o.Took = time.Since(began)
	if o.Err != nil && ctx.Err() != nil {
		o.Err, o.Result = ErrInterrupted, Result{Verdict: check.Unfinished(
			fmt.Sprintf("interrupted after %v, and a simulated run is judged when it is over", o.Took.Round(100*time.Millisecond)))}
	}
	if o.Err != nil && o.Result.Verdict.Sentence == "" {
		o.Result.Verdict = check.Failed(o.Err)
	}
	return o
}

// RunAll runs jobs, several at a time, and tells each as soon as it has an outcome; each is called by one goroutine at a time.
// It stops taking jobs when each returns false or ctx ends; what was on its way then is ended, and not told.
func (p *Pool) RunAll(ctx context.Context, jobs func(yield func(Job) bool), each func(Outcome) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan Job)
	var workers sync.WaitGroup
	var mu sync.Mutex
	stopped := false
	for range max(p.Parallel, 1) {
		workers.Go(func() {
			for j := range queue {
				o := p.Run(ctx, j)
				mu.Lock()
				if !stopped && !errors.Is(o.Err, ErrInterrupted) && !each(o) {
					stopped = true
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	jobs(func(j Job) bool {
		select {
		case queue <- j:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(queue)
	workers.Wait()
}

func (p *Pool) run(ctx context.Context, o *Outcome) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.limit = p.Limit; o.limit == 0 {
		o.limit = LimitOf(o.Plan)
	}
	input, err := json.Marshal(request{Plan: o.Plan.String(), Plant: o.Plant, Load: o.Load, Dir: p.Dir, Modules: p.Modules, History: o.History,
		Faults: o.Faults, Program: p.Program, Rerun: o.Rerun, Shrink: o.Shrink, Limit: o.limit, Log: p.Log})
	if err != nil {
		return err
	}
	answer, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer answer.Close()
	child := exec.CommandContext(ctx, self, childArg)
	output := &tail{most: 64 << 10}
	child.Stdin, child.Stderr, child.ExtraFiles = bytes.NewReader(input), output, []*os.File{write}
	child.Env = append(os.Environ(), "GOMAXPROCS=1")
	child.SysProcAttr = bound()
	runtime.LockOSThread() // see bound
	defer runtime.UnlockOSThread()
	err = child.Start()
	if closeErr := write.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("start simulation: %w", err)
	}
	var r reply
	decodeErr := json.NewDecoder(answer).Decode(&r)
	waitErr := child.Wait()
	o.Output = output.String()
	if decodeErr == nil {
		o.Result = r.Result
		if r.Error != "" {
			return errors.New(r.Error)
		}
		return nil
	}
	return o.died(waitErr)
}

// died judges a child that gave no answer.
func (o *Outcome) died(err error) error {
	what, ok := panicText(o.Output)
	switch {
	case ok:
		seen := o.seen()
		v := &check.Violation{Checker: "no-panic", Sentence: "a replica panicked: " + what, At: seen.Totals.Duration}
		o.Result.Verdict = check.Verdict{Judgement: check.Violated, Sentence: "VIOLATION: " + v.String() + ".", Leading: v.Checker,
			Findings: []check.Finding{{Checker: v.Checker, State: check.Broken, Of: "starts of nodes", Outside: true, Reason: v.Sentence, Violation: v}},
			Totals:   seen.Totals, Faults: seen.Faults, Marks: seen.Marks}
		return nil
	case strings.Contains(o.Output, tooLong):
		return fmt.Errorf("the simulation was ended after %v of real time, the limit for a plan of %v: give the plan less time, or fewer of them "+
			"a processor at once; one that does not get on at all is stuck, and what it printed tells where", o.limit, o.Plan.Time.Run)
	}
	return fmt.Errorf("simulation ended without an answer: %w: %s", err, lastLine(o.Output))
}

// seen counts what a child that died had recorded; nothing if it was to record nothing. Its checks are not the verdict's: they would
// judge a run that was never brought to an end.
func (o *Outcome) seen() check.Verdict {
	if o.History == "" {
		return check.Verdict{}
	}
	f, err := os.Open(o.History)
	if err != nil {
		return check.Verdict{} // it died before it recorded anything
	}
	defer f.Close()
	l, err := history.Read(f, o.History, 0)
	if err != nil {
		return check.Verdict{}
	}
	return check.Judge(context.Background(), l, check.Config{Without: []string{"replay-equivalence", "second-opinion"}})
}

// panicText finds what a Go program says when it panics.
func panicText(output string) (string, bool) {
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "panic: "); ok {
			return text, true
		}
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "fatal error: "); ok {
			return text, true
		}
	}
	return "", false
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// tail keeps the beginning and the end of what is written.
type tail struct {
	most        int
	begin, rest []byte
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if room := t.most - len(t.begin); room > 0 {
		k := min(room, len(p))
		t.begin, p = append(t.begin, p[:k]...), p[k:]
	}
	t.rest = append(t.rest, p...)
	if over := len(t.rest) - t.most; over > 0 {
		t.rest = append(t.rest[:0], t.rest[over:]...)
	}
	return n, nil
}

func (t *tail) String() string { return string(t.begin) + string(t.rest) }
