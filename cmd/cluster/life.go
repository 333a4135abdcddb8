package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/fsm"
	"lockstep/node"
)

func newStopCommand() *cobra.Command {
	return newLifeCommand(fsm.KindStop, "Stop a canister: it takes no more messages",
		`Refuses new messages to the canister and waits until the calls that it has made are answered and their callbacks have run.`)
}

func newStartCommand() *cobra.Command {
	return newLifeCommand(fsm.KindStart, "Start a stopped canister again",
		`Lets the canister take messages again. Whoever waits for it to have stopped is told that it has not.`)
}

func newDeleteCommand() *cobra.Command {
	return newLifeCommand(fsm.KindDelete, "Delete a stopped canister for good",
		`Takes the canister with all of its state out of the cluster. It must have been stopped. Its number is never used again.`)
}

// newLifeCommand is a command that needs nothing but a canister's name.
func newLifeCommand(kind fsm.Kind, short, long string) *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use:     kind.String() + " NAME",
		Short:   short,
		GroupID: groupUse,
		Long:    long + "\n" + callExits,
		Example: "  cluster " + kind.String() + " --node 127.0.0.1:8001 game",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.change(c, args[0], fsm.Message{Kind: kind})
		},
	}
	o.registerCaller(c)
	return c
}

func newLimitsCommand() *cobra.Command {
	var o clientOptions
	var name string
	c := &cobra.Command{
		Use:     "limits [NAME=NUMBER]...",
		Short:   "Show or change the limits that replicas agree on",
		GroupID: groupUse,
		Long: `Without arguments it lists the limits of the cluster. With them it changes these limits, or with --canister those of one canister,
in a round, so on every replica at once. A canister begins with what the cluster's MemoryBytes, StableBytes, Fuel, InstallFuel, ReplyBytes
and StackUnits are when it is installed, and keeps that until it is told otherwise. What a canister has must be within its limits.
` + callExits,
		Example: `  cluster limits --node 127.0.0.1:8001
  cluster limits --node 127.0.0.1:8001 Sessions=100 ArgBytes=1048576
  cluster limits --node 127.0.0.1:8001 --canister game MemoryBytes=1073741824 Fuel=1000000`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return o.change(c, name, fsm.Message{Kind: fsm.KindLimits, Arg: []byte(strings.Join(args, " "))})
			case name != "":
				return usageError(c, errors.New("--canister without a limit to change: cluster call aaaaa-aa canister_status tells what a canister has"))
			}
			return o.with(c, func(ctx context.Context, client *node.Client) error { return o.listLimits(ctx, c, client) })
		},
	}
	c.Flags().StringVar(&name, "canister", "", "change the limits of this canister")
	o.registerCaller(c)
	return c
}

// listLimits prints the limits of the cluster.
func (o *clientOptions) listLimits(ctx context.Context, c *cobra.Command, client *node.Client) error {
	limits, err := client.Limits(ctx)
	if err != nil {
		return &exitError{exitFault, err}
	}
	if o.asJSON {
		return printJSON(c, limits)
	}
	for _, limit := range slices.Sorted(maps.Keys(limits)) {
		fmt.Fprintf(c.OutOrStdout(), "%s=%d\n", limit, limits[limit])
	}
	return nil
}
