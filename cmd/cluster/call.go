package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"lockstep/fsm"
	"lockstep/node"
)

const callExits = `
Exit codes: 0 answered, 1 turned down (rejected, trapped, out of fuel, no such canister …), 2 nobody knows whether it
happened, 3 it certainly did not happen, or wrong use.`

const callArguments = `
Where the canister carries its interface (the metadata candid:service), or --did names it, ARG is Candid text such as
'(5, "text", record { name = "x" })' and the reply is printed as that; without ARG it is (). Elsewhere ARG is Candid if it is in
parentheses and can be read as that, its integers being of type int unless it says (5 : nat), and else the text itself; without ARG no
bytes at all are sent. The reply is printed as Candid if it is that, as it is if it is printable text, and else as 0x and hexadecimal
digits. Flags say otherwise.
`

func newCallCommand() *cobra.Command {
	var o clientOptions
	var a argOptions
	c := &cobra.Command{
		Use:     "call NAME METHOD [ARG]",
		Short:   "Call an update method: it runs on every replica, and its changes stay",
		GroupID: groupUse,
		Long: `Calls an update method of a canister and prints the reply. The call has a session of its own, so that it runs at most once however
often it has to be sent.
` + callArguments + callExits,
		Example: `  cluster call --node 127.0.0.1:8001 kv put colour=green
  cluster call --node 127.0.0.1:8001 --hex kv put 6b3d76
  cluster call --node 127.0.0.1:8001 store set '("k", 5)'
  cluster call --node 127.0.0.1:8001 aaaaa-aa create_canister '(record {})'`,
		Args: arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			return o.with(c, func(ctx context.Context, client *node.Client) error {
				m, err := a.method(ctx, c, client, args)
				if err != nil {
					return err
				}
				what := fmt.Sprintf("call %s of %s", args[1], args[0])
				session, err := client.OpenSession(ctx)
				if err != nil {
					return &exitError{exitFault, fmt.Errorf("%s: it did not happen: open a session: %w", what, err)}
				}
				r, err := session.Update(ctx, args[0], args[1], m.arg)
				return o.finish(c, outcome{what: what, response: r, err: err, show: m.show, hint: m.hint})
			})
		},
	}
	a.register(c)
	o.registerCaller(c)
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
` + callArguments + callExits,
		Example: `  cluster query --node 127.0.0.1:8001 kv get colour`,
		Args:    arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			return o.with(c, func(ctx context.Context, client *node.Client) error {
				m, err := a.method(ctx, c, client, args)
				if err != nil {
					return err
				}
				var r node.Response
				if stale {
					addresses, _ := o.addresses(c) // they are good: there is a client
					r, err = client.QueryStale(ctx, addresses[0], fsm.Query{Canister: args[0], Method: args[1], Arg: m.arg})
				} else {
					r, err = client.Query(ctx, args[0], args[1], m.arg)
				}
				return o.finish(c, outcome{what: fmt.Sprintf("query %s of %s", args[1], args[0]), response: r, err: err, show: m.show, hint: m.hint})
			})
		},
	}
	c.Flags().BoolVar(&stale, "stale", false, "take the first replica's own state, however old")
	a.register(c)
	o.registerCaller(c)
	return c
}
