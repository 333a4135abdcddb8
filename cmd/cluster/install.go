package main

import (
	"crypto/sha256"
	"fmt"

	"github.com/spf13/cobra"

	"lockstep/chaos"
	"lockstep/fsm"
)

func newInstallCommand() *cobra.Command {
	var o moduleOptions
	var mode string
	c := &cobra.Command{
		Use:     "install NAME FILE",
		Short:   "Install a WebAssembly module as a canister",
		GroupID: groupUse,
		Long: `Installs a module (a WebAssembly binary or text) on every replica under a name: 1 to 64 of a-z, 0-9, '-', '_' and '.'.
The module is checked here first; what is wrong with it is said before anything is sent.

With --mode reinstall a canister that is there starts over with nothing but its name; whoever waits for an answer of the old one
is told. --mode upgrade is what cluster upgrade does.
` + callExits,
		Example: `  cluster install --node 127.0.0.1:8001 game ./game.wasm --arg "board 8x8"`,
		Args:    arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			modes := map[string]fsm.Kind{"install": fsm.KindInstall, "reinstall": fsm.KindReinstall, "upgrade": fsm.KindUpgrade}
			kind, known := modes[mode]
			if !known {
				return usageError(c, fmt.Errorf("--mode is %q, must be install, reinstall or upgrade", mode))
			}
			return o.send(c, kind, args)
		},
	}
	c.Flags().StringVar(&mode, "mode", "install", "install, reinstall or upgrade")
	o.register(c)
	return c
}

// moduleOptions are the flags of the commands that send a module.
type moduleOptions struct {
	clientOptions
	arg string
}

func (o *moduleOptions) register(c *cobra.Command) {
	c.Flags().StringVar(&o.arg, "arg", "", "argument of canister_init, or of canister_post_upgrade, as text")
	o.clientOptions.register(c)
}

// send reads and checks the module, and sends it.
func (o *moduleOptions) send(c *cobra.Command, kind fsm.Kind, args []string) error {
	file, err := readLimited(c, args[1], chaos.MaxModuleBytes)
	if err != nil {
		return err
	}
	m, err := chaos.ParseModule(args[0], file)
	if err != nil {
		return fmt.Errorf("%s cannot be installed as %s: %w", args[1], args[0], err)
	}
	return o.change(c, m.Name, fsm.Message{Kind: kind, Module: m.Wasm, Arg: []byte(o.arg)})
}

// change sends a message that changes a canister's life and prints what became of it.
func (o *clientOptions) change(c *cobra.Command, name string, m fsm.Message) error {
	client, err := o.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := o.within(c)
	defer cancel()
	r, err := client.Change(ctx, name, m)
	what := m.Kind.String() + " " + name
	if err != nil || o.asJSON || r.Status != fsm.StatusReplied && r.Status != fsm.StatusNoReply {
		return o.finish(c, what, r, err)
	}
	text := fmt.Sprintf("%s: done in round %d", what, r.Round)
	if len(m.Module) > 0 {
		text += fmt.Sprintf(", module %x", sha256.Sum256(m.Module))
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), text)
	return err
}
