package main

import (
	"os"

	"github.com/spf13/cobra"

	"lockstep/chaos/real"
)

// replicaCommand is what `cluster chaos --real` starts: one replica that tells what it does on descriptor 3.
const replicaCommand = "chaos-replica"

func newChaosReplicaCommand() *cobra.Command {
	return &cobra.Command{
		Use:    replicaCommand + " CONFIGURATION",
		Hidden: true,
		Args:   arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			events := os.NewFile(3, "events")
			if code := real.Serve(args[0], c.InOrStdin(), events, c.ErrOrStderr()); code != 0 {
				return &exitError{code, nil}
			}
			return nil
		},
	}
}
