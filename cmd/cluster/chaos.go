package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos/plan"
	"lockstep/chaos/sim/plant"
)

// chaosOptions are the flags of `cluster chaos`.
type chaosOptions struct {
	sim, real bool
	seed      uint64
	seeds     string
	planFile  string
	time      time.Duration
	nodes     int
	out       string
	jobs      int
	runs      int
	planted   bool
	plant     string
	shrink    bool
	rejudge   string
	asJSON    bool
	lie       bool
	own       ownOptions
	// interrupt is closed when the user wants the command to end; nil never is.
	interrupt <-chan struct{}
}

func newChaosCommand() *cobra.Command {
	var o chaosOptions
	c := &cobra.Command{
		Use:     "chaos",
		Short:   "Break a cluster by a plan and see whether its replicas still agree",
		GroupID: groupRun,
		Long: `Draws a plan of faults from a seed, or takes one from a file, runs a cluster under it, records everything that happens and
judges it: roots after every round, log matching, one leader a term, nothing committed lost, exactly once, linearizability,
checkpoints, progress after healing.

--sim runs the cluster in one process in virtual time, tens to hundreds of times faster than real time. --real runs one process a
replica with TCP between them: kill -9, SIGSTOP, cut, slow and corrupting links, failing and full disks, damaged and wiped
folders. Without either, a plan is simulated if it can be.

--plant bare-raft plants no bug: it runs hashicorp/raft without what node guards it by, under drawn plans. A batch of those tells
which checks found something and which known defects of raft are behind it.

With --module it runs modules of yours. Clients send the calls of --call and --query, each as often as its weight says, or what a
--workload says; without any, every method that the module exports. ARG is written as for cluster call; without one it is made up for
each message where an interface says of what types, and else no bytes. What a canister means by its replies is judged for those that
come with Lockstep alone; everything else holds for any module.

cluster chaos explain says what faults, checks and rare paths are meant by the names in plans and verdicts.

Ctrl-C ends what runs. A real run heals first and is judged as far as it went, unless a second Ctrl-C ends that too; a simulated one is
judged when it is over or not at all. What is not done then leaves the command undecided.

Exit codes: 0 everything that must hold held, 1 a violation, 2 undecided, 3 wrong use or the run could not be made.`,
		Example: `  cluster chaos
  cluster chaos --real --seed 42 --time 1m --out ./report
  cluster chaos --sim --seeds 1-500 --jobs 2
  cluster chaos --plan failing.plan --shrink
  cluster chaos --plant missed-write
  cluster chaos --seeds 1-100 --plant bare-raft
  cluster chaos --rejudge ./report
  cluster chaos --real --module my.wasm
  cluster chaos --seeds 1-50 --module my.wasm --call '3 inc ()' --call 'put ("k", 5)' --query 'get ()'`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.AddCommand(newChaosExplainCommand())
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&o.sim, "sim", false, "simulate the cluster in virtual time")
	f.BoolVar(&o.real, "real", false, "run one process a replica")
	f.Uint64Var(&o.seed, "seed", 0, "draw the plan from this seed (0: from a random one)")
	f.StringVar(&o.seeds, "seeds", "", "draw and run a plan for each of these seeds: FIRST-LAST")
	f.StringVar(&o.planFile, "plan", "", "file with a plan to run (- for standard input)")
	f.DurationVar(&o.time, "time", 0, "how long faults go on in each run (default: 5s with --real, else drawn)")
	f.IntVar(&o.nodes, "nodes", 0, "number of replicas of drawn plans (default: 3 with --real, else 3 or 5)")
	f.StringVar(&o.out, "out", "", "folder for the report (default: a temporary one; of several runs only the bad ones keep theirs)")
	f.IntVar(&o.jobs, "jobs", 0, "runs of --seeds or --planted at the same time (default: one a processor with --sim, 1 with --real)")
	f.IntVar(&o.runs, "runs", 0, "run one plan up to so often, until a run does not agree (default: once; with --shrink 20 times, 5 with --real)")
	f.BoolVar(&o.planted, "planted", false, "plant bugs, one after the other, and see which check finds each")
	f.StringVar(&o.plant, "plant", "", "plant this bug: under the plan of --plan, the drawn ones of --seeds, else the one that provokes it")
	f.BoolVar(&o.shrink, "shrink", false, "look for the least plan that still fails")
	f.StringVar(&o.rejudge, "rejudge", "", "judge the report in this folder again; nothing is run")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object a line")
	o.own.register(c)
	f.BoolVar(&o.lie, "lie", false, "plant a bug: one replica gets a message with another argument than the others")
	if err := f.MarkHidden("lie"); err != nil {
		panic(err) // it is there
	}
	return c
}

// maxRuns bounds --runs.
const maxRuns = 10_000

// run does what the flags say.
func (o *chaosOptions) run(c *cobra.Command) error {
	first, last, err := o.check(given(c))
	if err != nil {
		return usageError(c, err)
	}
	if o.rejudge != "" {
		return o.judgeAgain(c)
	}
	out := newChaosOutput(c.OutOrStdout(), o.asJSON)
	ctx, forget := o.interrupts(c.Context(), out)
	defer forget()
	if err := o.own.open(c); err != nil {
		return &exitError{exitFault, err}
	}
	switch {
	case o.planted:
		return o.runPlanted(ctx, out)
	case o.seeds != "":
		return o.runBatch(ctx, batch{out: out, first: first, last: last})
	}
	p, err := o.onePlan(c)
	if err != nil {
		return &exitError{exitFault, err}
	}
	if o.shrink {
		return o.runShrink(ctx, out, p)
	}
	return o.runOne(ctx, out, p)
}

// check reports everything that is wrong with the flags by themselves, of which some were given.
func (o *chaosOptions) check(given []string) (first, last uint64, err error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.sim && o.real {
		bad("--sim and --real: choose one")
	}
	errs = append(errs, o.checkAlone(given))
	if err := o.own.check(); err != nil {
		errs = append(errs, err)
	}
	if len(o.own.modules) > 0 && (o.planted || o.plant != "" || o.rejudge != "") {
		bad("--module is for runs without planted bugs")
	}
	sources := 0
	for _, given := range []bool{o.seed != 0, o.seeds != "", o.planFile != "", o.rejudge != "", o.planted} {
		if given {
			sources++
		}
	}
	if sources > 1 {
		bad("--seed, --seeds, --plan, --planted and --rejudge: choose one")
	}
	if o.plant != "" {
		if _, err := plant.Find(o.plant); err != nil {
			bad("--plant: %w; those that can: %s", err, strings.Join(plantNames(), ", "))
		}
		if o.real || o.planted {
			bad("--plant is for simulated runs")
		}
		if (o.nodes != 0 || o.time != 0) && o.seeds == "" && o.plant != plant.BareRaft {
			bad("--nodes and --time are for drawn plans: the one that provokes %s has its own", o.plant)
		}
	}
	if o.seeds != "" {
		if first, last, err = parseSeeds(o.seeds); err != nil {
			errs = append(errs, err)
		}
		if o.shrink {
			bad("--shrink takes one plan: --seed or --plan")
		}
	}
	if o.time < 0 || o.time > plan.MaxTime {
		bad("--time %v: use 0 to %v", o.time, plan.MaxTime)
	}
	if o.nodes < 0 || o.nodes > plan.MaxReplicas {
		bad("--nodes %d: a cluster has 1 to %d replicas", o.nodes, plan.MaxReplicas)
	}
	if o.jobs < 0 || o.jobs > 256 {
		bad("--jobs %d: use 1 to 256", o.jobs)
	}
	if o.runs < 0 || o.runs > maxRuns {
		bad("--runs %d: use 1 to %d", o.runs, maxRuns)
	}
	if o.runs != 0 && (o.planted || o.seeds != "" || o.rejudge != "") {
		bad("--runs is for one plan: --seed or --plan")
	}
	if o.planFile != "" && (o.nodes != 0 || o.time != 0) {
		bad("--nodes and --time are for drawn plans: %s has its own", o.planFile)
	}
	return first, last, errors.Join(errs...)
}

// plantNames are the bugs that can be planted.
func plantNames() []string {
	names := []string{plant.BareRaft}
	for _, p := range plant.All() {
		names = append(names, p.Name)
	}
	return names
}

// parseSeeds reads FIRST-LAST.
func parseSeeds(text string) (first, last uint64, err error) {
	from, to, ok := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	if !ok || err1 != nil || err2 != nil || first > last || first == 0 {
		return 0, 0, fmt.Errorf("--seeds %q: write FIRST-LAST, such as 1-500", text)
	}
	return first, last, nil
}
