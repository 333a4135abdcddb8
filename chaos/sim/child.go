package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
)

// childArg is the first argument of a program that is to be a child.
const childArg = "lockstep-sim-child"

// request is what a child reads from its standard input.
type request struct {
	Plan    string
	Plant   string
	Load    *workload.Load
	Dir     string
	Modules string
	History string // path; "" for none
	Faults  string
	Program string
	Rerun   string
	Shrink  string
	Limit   time.Duration
	Log     bool
}

// reply is what it writes to its descriptor 3.
type reply struct {
	Result Result
	Error  string
}

// IsChild reports whether this process was started to run one simulation. A program that uses Pool asks first of all in main, and
// calls Serve if so.
func IsChild() bool { return len(os.Args) > 1 && os.Args[1] == childArg }

// Serve runs the simulation that the parent asked for, and ends the process. find gives the seams of a plant by its name.
//
// The bubble of testing/synctest wants a *testing.T, which only a test has: so the child makes itself a test program of one test.
func Serve(find func(plant string) (*Seams, error)) {
	os.Args = os.Args[:1] // package testing reads flags of its own
	answer := os.NewFile(3, "answer")
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		respond(answer, Result{}, fmt.Errorf("read request: %w", err))
	}
	p, err := plan.Parse(strings.NewReader(req.Plan), "plan")
	if err != nil {
		respond(answer, Result{}, err)
	}
	o, err := req.options(find)
	if err != nil {
		respond(answer, Result{}, err)
	}
	go limit(answer, req.Limit)
	debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(memoryGoal)
	match := func(string, string) (bool, error) { return true, nil }
	testing.Main(match, []testing.InternalTest{{Name: "Simulation", F: func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			Run(context.Background(), p, o, func(r Result, err error) { respond(answer, r, err) })
		})
	}}}, nil, nil)
}

func (q *request) options(find func(string) (*Seams, error)) (Options, error) {
	o := Options{Dir: q.Dir, Modules: q.Modules, Program: q.Program, Rerun: q.Rerun, Shrink: q.Shrink, Load: q.Load}
	if q.Log {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if o.History, err = create(q.History); err != nil {
		return o, err
	}
	if o.Faults, err = create(q.Faults); err != nil {
		return o, err
	}
	if q.Plant != "" {
		o.Seams, err = find(q.Plant)
	}
	return o, err
}

func create(path string) (io.Writer, error) {
	if path == "" {
		return nil, nil
	}
	return os.Create(path)
}

// respond answers the parent and ends the process.
func respond(to *os.File, r Result, err error) {
	out := reply{Result: r}
	if err != nil {
		out.Error = err.Error()
	}
	if err := json.NewEncoder(to).Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, "answer the parent:", err)
		os.Exit(exitBroken)
	}
	os.Exit(0)
}

// A child lives for seconds and its heap is small: it collects seldom, unless memory runs short.
const (
	collectAt  = 800
	memoryGoal = 1 << 30
)

// Exit codes of a child that gives no answer.
const (
	exitBroken  = 3
	exitTooLong = 4
)

// tooLong begins what a child prints that is ended by its limit.
const tooLong = "sim: the run takes longer"

// limit ends a run that takes too long in real time: a livelock that the watchdog does not see, or a deadlock. It runs outside the
// bubble.
func limit(answer *os.File, most time.Duration) {
	time.Sleep(most)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	fmt.Fprintf(os.Stderr, "%s than %v\n%s\n", tooLong, most, stacks)
	os.Exit(exitTooLong)
}
