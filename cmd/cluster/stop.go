package main

import (
	"github.com/spf13/cobra"

	"lockstep/fsm"
)

func newStopCommand() *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use:     "stop NAME",
		Short:   "Stop a canister: it takes no more messages",
		GroupID: groupUse,
		Long: `Refuses new messages to the canister and waits until the calls that it has made are answered and their callbacks have run.
` + callExits,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, args[0], fsm.Message{Kind: fsm.KindStop})
		},
	}
	o.register(c)
	return c
}
