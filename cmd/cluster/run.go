package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos"
	"lockstep/chaos/workload"
	"lockstep/memstore"
)

// runOptions are the flags of `cluster run`.
type runOptions struct {
	nodes           int
	modules         []string
	workload        string
	duration        time.Duration
	rounds          uint64
	checkpointEvery uint64
	trailingLogs    uint64
	tracker         string
	optLevel        string
	clients         int
	seed            uint64
	data            string
	keep            bool
	logLevel        string
	asJSON          bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:     "run",
		Short:   "Start a local cluster, let clients work on it, and see whether all replicas agree after every round",
		GroupID: groupRun,
		Long: `Starts replicas on this machine, one process each, installs canisters, lets several clients send messages, and compares
the replicas' roots after every round. Ends with a verdict. Ctrl-C ends it early, still with a verdict; a second Ctrl-C
ends it at once. While it runs it can be used from elsewhere: curl, cluster call, cluster status.

Without --module and --workload it runs a demonstration. With --module alone, every method that the modules export is
called, with small random arguments. A workload's canisters are those that come with Lockstep, or those of --module.

Exit codes: 0 all replicas had the same root after every round, 1 they disagreed, 2 undecided (a replica was lost, or not
everything could be compared), 3 wrong use or the run could not be made.`,
		Example: `  cluster run
  cluster run --nodes 5 --duration 1m --data ./demo
  cluster run --module ./game.wasm
  cluster run --module game=./build/out.wasm --workload ./game.jsonl --rounds 5000`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&o.nodes, "nodes", chaos.DefaultNodes, "number of replicas; a folder that is continued has its own")
	f.StringArrayVar(&o.modules, "module", nil, "[NAME=]FILE.wasm or .wat to install; once for each")
	f.StringVar(&o.workload, "workload", "", "file of messages and generators to send, one JSON object a line")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long the clients run; 0 until Ctrl-C")
	f.Uint64Var(&o.rounds, "rounds", 0, "end when at least so many rounds have been run; those under way are finished (then --duration holds only if it is given too)")
	f.IntVar(&o.clients, "clients", 8, "concurrent clients, each with a session of its own")
	f.Uint64Var(&o.seed, "seed", 0, "makes the same messages again; 0 draws one")
	f.Uint64Var(&o.checkpointEvery, "checkpoint-every", 1000, "rounds between two checkpoints")
	f.Uint64Var(&o.trailingLogs, "trailing-logs", 0, "log entries kept behind a checkpoint; who lags more is sent the checkpoint (0: the node's default)")
	f.StringVar(&o.tracker, "tracker", "", "how changed pages are found: "+trackers())
	f.StringVar(&o.optLevel, "opt-level", "", "optimisation of the WebAssembly compiler: "+optLevels())
	f.StringVar(&o.data, "data", "", "folder of the cluster: made if missing, continued otherwise, kept in the end")
	f.BoolVar(&o.keep, "keep", false, "keep the temporary folder")
	f.StringVar(&o.logLevel, "log-level", "info", "of the replicas' logs: debug, info, warn or error")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object a line: start, progress, verdict")
	return c
}

// run does what the flags say and turns the verdict into an exit code.
func (o *runOptions) run(c *cobra.Command) error {
	config, err := o.config(c)
	if err != nil {
		return err
	}
	var out runOutput
	if o.asJSON {
		out = newJSONOutput(c.OutOrStdout(), o)
	} else {
		text := newTextOutput(c.OutOrStdout(), o)
		if text.screen.terminal {
			config.Every = time.Second / 2
		}
		out = text
	}
	stop, ctx, forget := interrupts(c.Context(), func() { out.ending("interrupted: letting calls on their way finish; again to end at once") })
	defer forget()
	config.Stop = stop
	config.Started, config.Ready, config.Progressed, config.Settling = out.started, out.ready, out.progressed, out.settling
	verdict, err := chaos.Run(ctx, config)
	if err != nil {
		code := exitFault
		if errors.Is(err, chaos.ErrInterrupted) || context.Cause(ctx) == errTwice {
			code = exitUndecided
		}
		return &exitError{code, err}
	}
	if err := out.verdict(verdict); err != nil {
		return err
	}
	switch verdict.Judgement {
	case chaos.Agreed:
		return nil
	case chaos.Disagreed:
		return &exitError{exitBad, nil}
	}
	return &exitError{exitUndecided, nil}
}

// config checks the flags and everything that they name before anything is started.
func (o *runOptions) config(c *cobra.Command) (chaos.RunConfig, error) {
	fail := func(err error) (chaos.RunConfig, error) { return chaos.RunConfig{}, err }
	if err := o.check(); err != nil {
		return fail(usageError(c, err))
	}
	program, err := os.Executable()
	if err != nil {
		return fail(fmt.Errorf("find this program to start replicas of it: %w", err))
	}
	work, err := o.work(c)
	if err != nil {
		return fail(err)
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	nodes := o.nodes
	if !c.Flags().Changed("nodes") {
		nodes = 0
	}
	duration := o.duration
	if o.rounds > 0 && !c.Flags().Changed("duration") {
		duration = 0
	}
	o.duration = duration
	extra := []string{"--checkpoint-every", strconv.FormatUint(o.checkpointEvery, 10),
		"--trailing-logs", strconv.FormatUint(o.trailingLogs, 10), "--log-level", o.logLevel}
	if o.tracker != "" {
		extra = append(extra, "--tracker", o.tracker)
	}
	if o.optLevel != "" {
		extra = append(extra, "--opt-level", o.optLevel)
	}
	return chaos.RunConfig{
		Cluster: chaos.ClusterConfig{
			Program: program, Args: []string{"cluster", "node"}, Extra: extra,
			Nodes: nodes, Dir: o.data, Keep: o.keep, Log: log,
		},
		Modules: work.modules, Needed: work.needed, Messages: work.messages, Clients: o.clients,
		Duration: duration, Rounds: o.rounds, Log: log,
	}, nil
}

// check reports everything that is wrong with the flags by themselves, and draws a seed.
func (o *runOptions) check() error {
	var errs []error
	if o.nodes < 1 || o.nodes > chaos.MaxNodes {
		errs = append(errs, fmt.Errorf("--nodes %d: a cluster has 1 to %d replicas", o.nodes, chaos.MaxNodes))
	}
	if o.clients < 1 || o.clients > 4096 {
		errs = append(errs, fmt.Errorf("--clients %d: use 1 to 4096", o.clients))
	}
	if o.duration < 0 {
		errs = append(errs, fmt.Errorf("--duration %v: time does not go backwards", o.duration))
	}
	if o.checkpointEvery < 1 {
		errs = append(errs, errors.New("--checkpoint-every 0: use 1 or more"))
	}
	if o.tracker != "" {
		if _, err := memstore.ParseTracker(o.tracker); err != nil {
			errs = append(errs, fmt.Errorf("--tracker: %w", err))
		}
	}
	if o.optLevel != "" && !strings.Contains(optLevels()+",", o.optLevel+",") {
		errs = append(errs, fmt.Errorf("--opt-level %q: use %s", o.optLevel, optLevels()))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		errs = append(errs, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.logLevel))
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32 // short enough to be typed
	}
	return errors.Join(errs...)
}

// runWork is what clients do in a run: the modules to install, the canisters that the cluster may have already, the messages.
type runWork struct {
	modules  []workload.Module
	needed   []string
	messages func(client int) workload.Messages
}

// work reads the modules and the messages.
func (o *runOptions) work(c *cobra.Command) (runWork, error) {
	var given []workload.Module
	for _, text := range o.modules {
		m, err := readModule(c, text)
		if err != nil {
			return runWork{}, err
		}
		given = append(given, m)
	}
	if o.workload == "" && len(given) > 0 {
		return o.probe(given)
	}
	w := workload.Default()
	if o.workload != "" {
		var err error
		if w, err = readWorkload(o.workload); err != nil {
			return runWork{}, err
		}
	}
	work := runWork{messages: func(client int) workload.Messages { return w.Stream(o.seed, client, o.clients) }}
	required := w.Canisters()
	if chaos.HasCluster(o.data) { // which of them it has is known when it runs
		work.needed, required = required, nil
	}
	var err error
	if work.modules, err = workload.CompleteModules(given, required); err != nil {
		return runWork{}, fmt.Errorf("workload %s: %w with --module NAME=FILE", w.Name(), err)
	}
	o.workload = w.Name()
	return work, nil
}

// probe makes messages for modules that come without a workload.
func (o *runOptions) probe(given []workload.Module) (runWork, error) {
	modules, err := workload.CompleteModules(given, nil)
	if err != nil {
		return runWork{}, err
	}
	if _, err := workload.Probe(modules, o.seed, 0); err != nil {
		return runWork{}, err
	}
	o.workload = "every exported method with made-up arguments, by its Candid interface where it carries one"
	return runWork{modules: modules, messages: func(client int) workload.Messages {
		p, _ := workload.Probe(modules, o.seed, client) // what could fail has been tried above
		return p
	}}, nil
}

// readModule reads [NAME=]FILE.
func readModule(c *cobra.Command, text string) (workload.Module, error) {
	name, path, named := strings.Cut(text, "=")
	if !named {
		name, path = workload.ModuleName(text), text
	}
	file, err := readLimited(c, path, workload.MaxModuleBytes)
	if err != nil {
		return workload.Module{}, fmt.Errorf("--module: %w", err)
	}
	m, err := workload.ParseModule(name, file)
	if err != nil {
		return m, fmt.Errorf("--module %s cannot be installed as %s: %w", path, name, err)
	}
	return m, nil
}

func readWorkload(path string) (*workload.Workload, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--workload: %w", err)
	}
	defer file.Close()
	w, err := workload.Parse(file, path)
	if err != nil {
		return nil, fmt.Errorf("--workload: %w", err)
	}
	return w, nil
}
