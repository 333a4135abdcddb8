package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lockstep/chaos"
)

func newInstallCommand() *cobra.Command {
	var o clientOptions
	var initArg string
	c := &cobra.Command{
		Use:     "install NAME FILE",
		Short:   "Install a WebAssembly module as a canister",
		GroupID: groupUse,
		Long: `Installs a module (a WebAssembly binary or text) on every replica under a name: 1 to 64 of a-z, 0-9, '-', '_' and '.'.
The module is checked here first; what is wrong with it is said before anything is sent.
` + callExits,
		Example: `  cluster install --node 127.0.0.1:8001 game ./game.wasm --arg "board 8x8"`,
		Args:    arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := readLimited(c, args[1], chaos.MaxModuleBytes)
			if err != nil {
				return err
			}
			m, err := chaos.ParseModule(args[0], file)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := o.within(c)
			defer cancel()
			r, err := client.Install(ctx, m.Name, m.Wasm, []byte(initArg))
			return o.finish(c, "install "+m.Name, r, err)
		},
	}
	c.Flags().StringVar(&initArg, "arg", "", "argument of canister_init, as text")
	o.register(c)
	return c
}
