package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
)

func newInstallCommand() *cobra.Command {
	var o moduleOptions
	var mode string
	c := &cobra.Command{
		Use:     "install NAME FILE",
		Short:   "Install a WebAssembly module as a canister",
		GroupID: groupUse,
		Long: `Installs a module (a WebAssembly binary or text) on every replica under a name: 1 to 64 of a-z, 0-9, '-', '_' and '.'.
The module is checked here first; what is wrong with it is said before anything is sent. Every replica compiles it before it is
installed, while the other canisters go on.

With --mode reinstall a canister that is there starts over with nothing but its name; whoever waits for an answer of the old one
is told. --mode upgrade is what cluster upgrade does.
` + callExits,
		Example: `  cluster install --node 127.0.0.1:8001 game ./game.wasm --arg "board 8x8"
  cluster install --node 127.0.0.1:8001 token ./token.wasm --arg '(record { name = "T" })'`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			modes := map[string]fsm.Kind{"install": fsm.KindInstall, "reinstall": fsm.KindReinstall, "upgrade": fsm.KindUpgrade}
			kind, known := modes[mode]
			if !known {
				return usageError(c, fmt.Errorf("--mode is %q, must be install, reinstall or upgrade", mode))
			}
			return o.send(c, args, fsm.Message{Kind: kind})
		},
	}
	c.Flags().StringVar(&mode, "mode", "install", "install, reinstall or upgrade")
	o.register(c)
	return c
}

func newUpgradeCommand() *cobra.Command {
	var o moduleOptions
	var skip bool
	var memory string
	c := &cobra.Command{
		Use:     "upgrade NAME FILE",
		Short:   "Give a canister a new module and keep its state",
		GroupID: groupUse,
		Long: `Runs canister_pre_upgrade of the old module and canister_post_upgrade of the new one; stable memory is kept, and the heap where
both modules ask for it or --wasm-memory says so. If anything fails, the canister is as it was. A canister that waits for answers to
calls of its own is not upgraded: stop it first.
` + callExits,
		Example: `  cluster upgrade --node 127.0.0.1:8001 game ./game-2.wasm
  cluster upgrade --node 127.0.0.1:8001 game ./game-2.wasm --skip-pre-upgrade --wasm-memory replace`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			persistence, err := canister.ParseMemoryPersistence(memory)
			if err != nil {
				return usageError(c, fmt.Errorf("--wasm-memory: %w", err))
			}
			return o.send(c, args, fsm.Message{Kind: fsm.KindUpgrade, SkipPreUpgrade: skip, Memory: persistence})
		},
	}
	c.Flags().BoolVar(&skip, "skip-pre-upgrade", false, "leave canister_pre_upgrade out: what it would have saved is lost")
	c.Flags().StringVar(&memory, "wasm-memory", "", "keep or replace the heap, whatever the modules ask for")
	o.register(c)
	return c
}

// moduleOptions are the flags of the commands that send a module.
type moduleOptions struct {
	clientOptions
	arg string
}

func (o *moduleOptions) register(c *cobra.Command) {
	c.Flags().StringVar(&o.arg, "arg", "", "argument of canister_init, or of canister_post_upgrade: Candid in parentheses, or text")
	o.registerCaller(c)
}

// send reads and checks the module, and sends it.
func (o *moduleOptions) send(c *cobra.Command, args []string, msg fsm.Message) error {
	file, err := readLimited(c, args[1], workload.MaxModuleBytes)
	if err != nil {
		return err
	}
	m, err := workload.ParseModule(args[0], file)
	if err != nil {
		return fmt.Errorf("%s cannot be installed as %s: %w", args[1], args[0], err)
	}
	msg.Module = m.Wasm
	if msg.Arg, err = o.argument(m); err != nil {
		return usageError(c, fmt.Errorf("--arg: %w", err))
	}
	return o.change(c, m.Name, msg)
}

// argument is what the module is installed with: Candid where the module carries an interface, or the argument looks like it.
func (o *moduleOptions) argument(m workload.Module) ([]byte, error) {
	if m.Interface == nil {
		return candidOrText(o.arg), nil
	}
	text := o.arg
	if text == "" {
		text = "()"
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "(") {
		return []byte(text), nil
	}
	return candid.Encode(text, append([]*candid.Type{}, m.Interface.Init...))
}

// change sends a message that changes a canister's life and prints what became of it.
func (o *clientOptions) change(c *cobra.Command, name string, m fsm.Message) error {
	return o.with(c, func(ctx context.Context, client *node.Client) error {
		r, err := client.Change(ctx, name, m)
		what := strings.TrimSpace(m.Kind.String() + " " + name)
		if err != nil || o.asJSON || r.Status != fsm.StatusReplied && r.Status != fsm.StatusNoReply {
			return o.finish(c, outcome{what: what, response: r, err: err, show: showBytes})
		}
		text := fmt.Sprintf("%s: done in round %d", what, r.Round)
		if len(m.Module) > 0 {
			text += fmt.Sprintf(", module %x", sha256.Sum256(m.Module))
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), text)
		return err
	})
}
