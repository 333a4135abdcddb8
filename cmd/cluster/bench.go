package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lockstep/memstore/bench"
)

func newBenchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Measure this machine",
		GroupID: groupDisk,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError(c, fmt.Errorf("say what to measure: memory, checkpoint or chaos"))
		},
	}
	c.AddCommand(newBenchMemoryCommand(), newBenchCheckpointCommand(), newBenchChaosCommand())
	return c
}

// benchMemory is what `cluster bench memory` was told.
type benchMemory struct {
	json   bool
	svg    string
	budget time.Duration
}

func newBenchMemoryCommand() *cobra.Command {
	var b benchMemory
	c := &cobra.Command{
		Use:   "memory",
		Short: "Compare the ways of finding which pages a message wrote",
		Long: `Runs real Wasm messages under every tracker, in one process and interleaved, and prints what a message costs: over the
matrix of {update, query} x {read, write, read then write} x access patterns x {from a checkpoint, from changed pages, fresh
memory}, for a mixed workload, and for the figures that the project holds itself to. Costs are processor time, so that other
work on the machine matters little. It takes up to three minutes.

Exit code 0 when it could measure, whatever it measured; 3 when it could not.`,
		Example: "  cluster bench memory\n  cluster bench memory --json > result.json\n  cluster bench memory --svg picture.svg",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return b.run(c) },
	}
	c.Flags().BoolVar(&b.json, "json", false, "print JSON")
	c.Flags().StringVar(&b.svg, "svg", "", "also draw the mixed workload into this `file`")
	c.Flags().DurationVar(&b.budget, "budget", 0, "time for the matrix; 0 is what is left of three minutes; cells that do not fit are left out and said to be")
	return c
}

func (b *benchMemory) run(c *cobra.Command) error {
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	result, err := bench.Run(ctx, bench.Config{Budget: b.budget, Progress: func(what string) {
		fmt.Fprintf(c.ErrOrStderr(), "measuring %s\n", what)
	}})
	if err != nil {
		return fmt.Errorf("measure memory: %w", err)
	}
	if b.svg != "" {
		if err := drawTo(b.svg, result); err != nil {
			return err
		}
	}
	if b.json {
		return result.WriteJSON(c.OutOrStdout())
	}
	return result.WriteText(c.OutOrStdout())
}

func drawTo(name string, result *bench.Result) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	err = result.WriteSVG(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("draw %s: %w", name, err)
	}
	return nil
}
