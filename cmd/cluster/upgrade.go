package main

import (
	"github.com/spf13/cobra"

	"lockstep/fsm"
)

func newUpgradeCommand() *cobra.Command {
	var o moduleOptions
	c := &cobra.Command{
		Use:     "upgrade NAME FILE",
		Short:   "Give a canister a new module and keep its state",
		GroupID: groupUse,
		Long: `Runs canister_pre_upgrade of the old module and canister_post_upgrade of the new one; stable memory is kept, and the heap where
both modules ask for it. If anything fails, the canister is as it was. A canister that waits for answers to calls of its own is not
upgraded: stop it first.
` + callExits,
		Example: `  cluster upgrade --node 127.0.0.1:8001 game ./game-2.wasm`,
		Args:    arguments(2, 2),
		RunE:    func(c *cobra.Command, args []string) error { return o.send(c, fsm.KindUpgrade, args) },
	}
	o.register(c)
	return c
}
