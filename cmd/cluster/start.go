package main

import (
	"github.com/spf13/cobra"

	"lockstep/fsm"
)

func newStartCommand() *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use:     "start NAME",
		Short:   "Start a stopped canister again",
		GroupID: groupUse,
		Long: `Lets the canister take messages again. Whoever waits for it to have stopped is told that it has not.
` + callExits,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, args[0], fsm.Message{Kind: fsm.KindStart})
		},
	}
	o.register(c)
	return c
}
