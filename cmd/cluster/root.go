package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// newRootCommand makes the command with all its subcommands. A new one is a file with its constructor, and a line here.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cluster",
		Short: "Run a cluster of replicated WebAssembly canisters and see whether its replicas agree",
		Long: `Lockstep runs WebAssembly programs (canisters) on several replicas and compares the hash of their whole state
(the root) after every round of messages.

Start here:   cluster run`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run:"}, &cobra.Group{ID: groupUse, Title: "Use a running cluster:"},
		&cobra.Group{ID: groupDisk, Title: "Look at what is on disk:"})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError(c, err) })
	for _, newCommand := range []func() *cobra.Command{
		newRunCommand, newChaosCommand, newNodeCommand, newChaosReplicaCommand, newBenchRestoreCommand,
		newCallCommand, newQueryCommand, newInstallCommand, newUpgradeCommand, newStopCommand, newStartCommand, newDeleteCommand, newLimitsCommand, newStatusCommand, newVersionCommand,
		newBenchCommand, newVerifyCommand, newInspectCommand, newDiffCommand, newReplayCommand, newImportCommand, newDrillCommand,
	} {
		root.AddCommand(newCommand())
	}
	return root
}

// Groups of commands in the help.
const (
	groupRun  = "run"
	groupUse  = "use"
	groupDisk = "disk"
)

// Exit codes. A command's help says what they mean for it.
const (
	exitGood      = 0
	exitBad       = 1 // disagreement, a diverged replica, a call that the canister or the state machine turned down
	exitUndecided = 2 // not everything could be seen; the outcome of a call is unknown
	exitFault     = 3 // wrong use, or the command itself could not do its work
)

// exitError ends the program with a code. A nil err means that everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError tells where the flags of a command are explained.
func usageError(c *cobra.Command, err error) error {
	return &exitError{exitFault, fmt.Errorf("%w\nsee: %s --help", err, c.CommandPath())}
}

// arguments checks the number of a command's arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError(c, fmt.Errorf("wrong number of arguments (%d) after %q, expected: %s", len(args), c.CommandPath(), c.UseLine()))
		}
		return nil
	}
}

// execute runs the command line and gives the exit code.
func execute(ctx context.Context, s streams, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitGood
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitFault, err}
	}
	if exit.err != nil {
		fmt.Fprintf(s.err, "error: %s\n", escapeSigns(exit.err.Error(), "\n\t"))
	}
	return exit.code
}
