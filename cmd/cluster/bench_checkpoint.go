package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/fsm/bench"
)

// restoreCommand is what `cluster bench checkpoint` starts: a process that restores one checkpoint.
const restoreCommand = "bench-restore"

func newBenchRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:    restoreCommand + " DIR",
		Hidden: true,
		Args:   arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := bench.RestoreChild(args[0])
			if err != nil {
				return err
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(r)
		},
	}
}

// benchCheckpoint is what `cluster bench checkpoint` was told.
type benchCheckpoint struct {
	json   bool
	config bench.Config
}

func newBenchCheckpointCommand() *cobra.Command {
	var b benchCheckpoint
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Measure checkpoints: bytes, merges, disk, speed, transfers, restores, and the rounds beside them",
		Long: `Measures what checkpoints cost, against the figures that the project holds itself to: bytes written after few pages have
changed, write amplification of merges and the most that is on disk over a long random run, writing and verifying a whole state
against plain files and plain hashing, bytes sent to followers, what compressing would bring, the time of rounds that run beside
checkpoints, and restoring states of several sizes in a process of its own. It takes up to three minutes, 3 GiB of disk and 2 GiB
of memory.

Exit code 0 when it could measure, whatever it measured; 3 when it could not.`,
		Example: "  cluster bench checkpoint\n  cluster bench checkpoint --json > result.json\n  cluster bench checkpoint --only restore --restore 64,1024,4096 --dir /data/tmp",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return b.run(c) },
	}
	c.Flags().BoolVar(&b.json, "json", false, "print JSON")
	c.Flags().StringVar(&b.config.Dir, "dir", "", "`folder` to make files in; the disk under it is what is measured (default the system's for temporary files)")
	c.Flags().StringSliceVar(&b.config.Only, "only", nil, "measure only these `parts`: "+strings.Join(bench.Parts(), ", "))
	c.Flags().IntSliceVar(&b.config.Restore, "restore", []int{64, 1024}, "sizes of the states to restore, in `MiB`, at most 4096; 4096 takes a minute and 10 GiB of disk more")
	return c
}

func (b *benchCheckpoint) run(c *cobra.Command) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("measure checkpoints: %w", err)
	}
	b.config.RestoreCommand = []string{self, restoreCommand}
	b.config.Progress = func(what string) { fmt.Fprintf(c.ErrOrStderr(), "measuring %s\n", what) }
	result, err := bench.Run(c.Context(), b.config)
	if err != nil {
		return fmt.Errorf("measure checkpoints: %w", err)
	}
	if b.json {
		return result.WriteJSON(c.OutOrStdout())
	}
	return result.WriteText(c.OutOrStdout())
}
