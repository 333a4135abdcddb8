package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos"
	"lockstep/chaos/drill"
)

// drillOptions are the flags of `cluster drill`.
type drillOptions struct {
	all, list, quick bool
	nodes, size      int
	data             string
	seed             uint64
	count            int
	verbose, asJSON  bool
}

func newDrillCommand() *cobra.Command {
	var o drillOptions
	c := &cobra.Command{
		Use:     "drill [NAME…]",
		Short:   "Rehearse disasters on a cluster of its own and prove that nothing came of them",
		GroupID: groupRun,
		Long: `Each drill starts a cluster of processes on this machine, lets it work, brings about a disaster, repairs it as an
operator would, and lets it work again. It passes only if all replicas then have one root at one round, not before any round that
was reported earlier, and if an undisturbed replay of the log of the first replica, which is spared, gives every root that any
replica reported on the way. The disaster must be seen to have happened. Each verdict says how many roots were compared. With --data each drill works on a copy of a stopped
cluster's folder. The folder of a drill that did not end well is kept and named; nothing else stays behind.

With --quick the drills run without processes and without Raft: state machines and stores of checkpoints in this one.

Exit codes: 0 all passed (or were skipped, with the reason), 1 a root differed, 2 undecided: a disaster could not be
brought about, or the end was not seen, 3 wrong use, or a drill could not do its work.`,
		Example: `  cluster drill --list
  cluster drill wipe corrupt-leader
  cluster drill --all --size 64
  cluster drill --quick --count 60 --size 16`,
		Args: arguments(0, 100),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&o.list, "list", false, "say what each drill does")
	f.BoolVar(&o.all, "all", false, "run every drill")
	f.IntVar(&o.nodes, "nodes", chaos.DefaultNodes, "number of replicas, where a drill does not need more")
	f.IntVar(&o.size, "size", 4, "MiB that the canisters' memories hold, about")
	f.StringVar(&o.data, "data", "", "folder of a stopped cluster (cluster run --data); each drill works on a copy")
	f.Uint64Var(&o.seed, "seed", 0, "makes the same messages and delays again; 0 draws one")
	f.BoolVar(&o.quick, "quick", false, "in one process, without Raft: many drills a second")
	f.IntVar(&o.count, "count", 12, "with --quick: how many drills, in turn")
	f.BoolVar(&o.verbose, "verbose", false, "say what happens as it happens")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object for each drill")
	return c
}

func (o *drillOptions) run(c *cobra.Command, args []string) error {
	if err := o.check(c, args); err != nil {
		return err
	}
	if o.list {
		return listDrills(c.OutOrStdout())
	}
	chosen, err := o.choose(c, args)
	if err != nil {
		return err
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32
	}
	// Not SIGPIPE: killed replicas break connections that are being written to.
	ctx, forget := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer forget()
	if o.quick {
		return o.runQuick(ctx, c.OutOrStdout())
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start replicas of it: %w", err)
	}
	config := drill.Config{Program: program, Args: []string{"cluster", "node"}, Nodes: o.nodes, Data: o.data, SizeMiB: o.size, Seed: o.seed}
	if o.verbose {
		config.Step = func(text string) { fmt.Fprintln(c.ErrOrStderr(), "   ", text) }
	}
	code := exitGood
	for _, d := range chosen {
		result := drill.Run(ctx, d, config)
		if err := o.print(c.OutOrStdout(), &result); err != nil {
			return err
		}
		code = worse(code, drillExit(result.Verdict))
		if ctx.Err() != nil {
			return &exitError{exitUndecided, errors.New("interrupted: the drills that follow were not run")}
		}
	}
	if code != exitGood {
		return &exitError{code, nil}
	}
	return nil
}

// check reports everything about the command line that makes no sense.
func (o *drillOptions) check(c *cobra.Command, args []string) error {
	var errs []error
	wrong := func(holds bool, format string, args ...any) {
		if holds {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	set := c.Flags().Changed
	wrong(o.nodes < 3 || o.nodes > chaos.MaxNodes, "--nodes %d: a drill needs 3 to %d replicas", o.nodes, chaos.MaxNodes)
	wrong(o.size < 1 || o.size > 1024, "--size %d: use 1 to 1024 MiB", o.size)
	wrong(o.count < 1, "--count %d: at least one drill is needed", o.count)
	wrong(set("count") && !o.quick, "--count is for --quick; other drills are run once each, and named as often as wanted")
	wrong(o.quick && (set("data") || o.asJSON || o.verbose), "--quick goes without --data, --json and --verbose")
	wrong(len(args) > 0 && (o.all || o.quick || o.list), "%s: --all, --quick and --list go without names", strings.Join(args, " "))
	wrong(len(args) == 0 && !o.all && !o.quick && !o.list, "no drill is named: see cluster drill --list, or use --all")
	wrong(o.data != "" && set("nodes"), "--nodes with --data: the folder's cluster has its own number of replicas")
	wrong(set("data") && !chaos.HasCluster(o.data), "--data %q is no cluster's folder: name one of cluster run --data", o.data)
	if len(errs) > 0 {
		return usageError(c, errors.Join(errs...))
	}
	return nil
}

// choose finds the drills by name.
func (o *drillOptions) choose(c *cobra.Command, args []string) ([]drill.Drill, error) {
	all := drill.Drills()
	if o.all {
		return all, nil
	}
	var chosen []drill.Drill
	for _, name := range args {
		i := slices.IndexFunc(all, func(d drill.Drill) bool { return d.Name == name })
		if i < 0 {
			return nil, usageError(c, fmt.Errorf("there is no drill %q: see cluster drill --list", name))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func listDrills(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, d := range drill.Drills() {
		fmt.Fprintf(t, "%s\t%s\n", d.Name, d.Purpose)
	}
	return t.Flush()
}

// drillExit is the exit code that a verdict calls for.
func drillExit(v drill.Verdict) int {
	switch v {
	case drill.Passed, drill.Skipped:
		return exitGood
	case drill.Violation:
		return exitBad
	case drill.Undecided:
		return exitUndecided
	}
	return exitFault
}

// worse is the code that says more: a violation above all, then a drill that broke, then one that is undecided.
func worse(a, b int) int {
	rank := []int{exitGood, exitUndecided, exitFault, exitBad}
	if slices.Index(rank, a) > slices.Index(rank, b) {
		return a
	}
	return b
}

func (o *drillOptions) print(w io.Writer, r *drill.Result) error {
	if o.asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%-9s  %-16s  %6.1fs", r.Verdict, r.Name, r.Elapsed.Seconds())
	if r.Recovery > 0 {
		fmt.Fprintf(w, ", all at one root %.1fs after the repair", r.Recovery.Seconds())
	}
	fmt.Fprintln(w)
	lines := r.Facts
	if r.Verdict == drill.Passed {
		lines = append(lines, r.Compared.String())
	}
	for _, text := range lines {
		fmt.Fprintf(w, "           %s\n", strings.ReplaceAll(text, "\n", "\n           "))
	}
	if r.Reason != "" {
		fmt.Fprintf(w, "           %s (seed %d)\n", r.Reason, o.seed)
	}
	if r.Folder != "" {
		fmt.Fprintf(w, "           evidence: %s\n", r.Folder)
	}
	return nil
}

// quickPace describes how many drills a minute that was.
func quickPace(n int, took time.Duration) string {
	return fmt.Sprintf("%d drills in %.2fs: %.0f a minute", n, took.Seconds(), float64(n)/took.Minutes())
}
