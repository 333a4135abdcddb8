package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/chaos/bench"
	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// benchChaos is what `cluster bench chaos` was told.
type benchChaos struct {
	json   bool
	config bench.Config
}

func newBenchChaosCommand() *cobra.Command {
	var b benchChaos
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Measure chaos runs: how fast they are, and how fast they find what is wrong",
		Long: `Measures chaos runs against the figures that the project holds itself to: simulated time and verified faults for each unit of
processor time, of drawn plans as cluster chaos runs them and of quiet clusters; planted bugs and the known defects of raft, until each
is caught by its own plan, and the latter by drawn ones, and whether a node survives these; finding the bytes in which states of 1 GiB differ; and linearizability of a
million calls. It takes four to five minutes, 3 GiB of disk and 3 GiB of memory.

Exit code 0 when it could measure, whatever it measured; 3 when it could not.`,
		Example: "  cluster bench chaos\n  cluster bench chaos --only speed,drawn\n  cluster bench chaos --json > result.json",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return b.run(c) },
	}
	f := c.Flags()
	f.BoolVar(&b.json, "json", false, "print JSON")
	f.StringVar(&b.config.Dir, "dir", "", "`folder` for the checkpoints of large states (default the system's for temporary files)")
	f.StringSliceVar(&b.config.Only, "only", nil, "measure only these `parts`: "+strings.Join(bench.Parts(), ", "))
	f.Uint64Var(&b.config.Seeds, "seeds", 0, "drawn plans to simulate (default 60)")
	f.Uint64Var(&b.config.RealSeeds, "real-seeds", 0, "drawn plans to run on real processes (default 6)")
	return c
}

func (b *benchChaos) run(c *cobra.Command) (err error) {
	simulated, onProcesses := &chaosOptions{sim: true}, &chaosOptions{real: true}
	pool, done, err := simulated.simPool()
	if err != nil {
		return fmt.Errorf("measure chaos runs: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	b.config.Pool, b.config.Draw = pool, simulated.draw
	b.config.Real = func(ctx context.Context, seed uint64) (bench.RealRun, error) {
		return onProcesses.measured(ctx, onProcesses.draw(seed))
	}
	b.config.Progress = func(what string) { fmt.Fprintf(c.ErrOrStderr(), "measuring %s\n", what) }
	result, err := bench.Run(c.Context(), b.config)
	if err != nil {
		return fmt.Errorf("measure chaos runs: %w", err)
	}
	if b.json {
		return result.WriteJSON(c.OutOrStdout())
	}
	return result.WriteText(c.OutOrStdout())
}

// measured runs a plan, which must not find a violation, and keeps no report.
func (o *chaosOptions) measured(ctx context.Context, p *plan.Plan) (_ bench.RealRun, err error) {
	dir, err := os.MkdirTemp("", "lockstep-chaos-")
	if err != nil {
		return bench.RealRun{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := o.execute(ctx, nil, execution{plan: p, dir: dir})
	if r.err == nil && r.verdict.Judgement == check.Violated {
		r.err = errors.New(r.verdict.Sentence)
	}
	return bench.RealRun{Verified: r.verified, CPU: r.cpu}, r.err
}
