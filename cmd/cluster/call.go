package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/fsm"
)

// argOptions are the flags that say how an argument is written.
type argOptions struct {
	text, hex, base64 bool
	file              string
}

func (o *argOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.text, "text", false, "ARG is the text itself (the default)")
	f.BoolVar(&o.hex, "hex", false, "ARG is hexadecimal")
	f.BoolVar(&o.base64, "base64", false, "ARG is base64")
	f.StringVar(&o.file, "file", "", "read the argument's bytes from a file, - for standard input")
	c.MarkFlagsMutuallyExclusive("text", "hex", "base64", "file")
}

// bytes gives the argument; rest is the command line after the method.
func (o *argOptions) bytes(c *cobra.Command, rest []string) ([]byte, error) {
	if o.file != "" {
		if len(rest) > 0 {
			return nil, usageError(c, errors.New("both ARG and --file are given"))
		}
		return readLimited(c, o.file, fsm.MaxArgBytes)
	}
	if len(rest) == 0 {
		return nil, nil
	}
	var arg []byte
	var err error
	switch {
	case o.hex:
		arg, err = hex.DecodeString(strings.TrimPrefix(rest[0], "0x"))
	case o.base64:
		arg, err = base64.StdEncoding.DecodeString(rest[0])
	default:
		arg = []byte(rest[0])
	}
	if err != nil {
		return nil, usageError(c, fmt.Errorf("argument %q: %w", rest[0], err))
	}
	return arg, nil
}

const callExits = `
Exit codes: 0 answered, 1 turned down (rejected, trapped, out of fuel, no such canister …), 2 nobody knows whether it
happened, 3 it certainly did not happen, or wrong use.`

func newCallCommand() *cobra.Command {
	var o clientOptions
	var a argOptions
	c := &cobra.Command{
		Use:     "call NAME METHOD [ARG]",
		Short:   "Call an update method: it runs on every replica, and its changes stay",
		GroupID: groupUse,
		Long: `Calls an update method of a canister and prints the reply: as it is if it is printable text, else as 0x and hexadecimal
digits. The call has a session of its own, so that it runs at most once however often it has to be sent.
` + callExits,
		Example: `  cluster call --node 127.0.0.1:8001 kv put colour=green
  cluster call --node 127.0.0.1:8001 --hex kv put 6b3d76`,
		Args: arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			arg, err := a.bytes(c, args[2:])
			if err != nil {
				return err
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := o.within(c)
			defer cancel()
			what := fmt.Sprintf("call %s of %s", args[1], args[0])
			session, err := client.OpenSession(ctx)
			if err != nil {
				return &exitError{exitFault, fmt.Errorf("%s: it did not happen: open a session: %w", what, err)}
			}
			r, err := session.Update(ctx, args[0], args[1], arg)
			return o.finish(c, what, r, err)
		},
	}
	a.register(c)
	o.register(c)
	return c
}

func newQueryCommand() *cobra.Command {
	var o clientOptions
	var a argOptions
	var stale bool
	c := &cobra.Command{
		Use:     "query NAME METHOD [ARG]",
		Short:   "Call a query method: it reads one replica's state and changes nothing",
		GroupID: groupUse,
		Long: `Calls a query method of a canister and prints the reply, as call does. The answer takes everything into account that was
acknowledged before, unless --stale asks the first replica for what it has.
` + callExits,
		Example: `  cluster query --node 127.0.0.1:8001 kv get colour`,
		Args:    arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			arg, err := a.bytes(c, args[2:])
			if err != nil {
				return err
			}
			addresses, err := o.addresses(c)
			if err != nil {
				return err
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := o.within(c)
			defer cancel()
			what := fmt.Sprintf("query %s of %s", args[1], args[0])
			if stale {
				r, err := client.QueryStale(ctx, addresses[0], fsm.Query{Canister: args[0], Method: args[1], Arg: arg})
				return o.finish(c, what, r, err)
			}
			r, err := client.Query(ctx, args[0], args[1], arg)
			return o.finish(c, what, r, err)
		},
	}
	c.Flags().BoolVar(&stale, "stale", false, "take the first replica's own state, however old")
	a.register(c)
	o.register(c)
	return c
}
