package main

import (
	"github.com/spf13/cobra"

	"lockstep/fsm"
)

func newDeleteCommand() *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a stopped canister for good",
		GroupID: groupUse,
		Long: `Takes the canister with all of its state out of the cluster. It must have been stopped. Its number is never used again.
` + callExits,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, args[0], fsm.Message{Kind: fsm.KindDelete})
		},
	}
	o.register(c)
	return c
}
