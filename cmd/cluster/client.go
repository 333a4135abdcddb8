package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lockstep/fsm"
	"lockstep/node"
)

// nodesVariable names the replicas when --node does not.
const nodesVariable = "LOCKSTEP_NODES"

// clientOptions are the flags of the commands that talk to a running cluster.
type clientOptions struct {
	nodes   []string
	timeout time.Duration
	asJSON  bool
	caller  string
}

func (o *clientOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&o.nodes, "node", nil, "client ports of the cluster, host:port[,host:port]… (default: $"+nodesVariable+")")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to try")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
}

// registerCaller adds the flags of the commands that canisters see a caller of.
func (o *clientOptions) registerCaller(c *cobra.Command) {
	o.register(c)
	c.Flags().StringVar(&o.caller, "caller", "", "call as this principal, in its text form; it is believed (default: 2vxsx-fae, the anonymous one)")
}

// addresses is where to ask.
func (o *clientOptions) addresses(c *cobra.Command) ([]string, error) {
	nodes := o.nodes
	if len(nodes) == 0 {
		nodes = strings.FieldsFunc(os.Getenv(nodesVariable), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	}
	for i, n := range nodes {
		nodes[i] = strings.TrimSuffix(strings.TrimPrefix(n, "http://"), "/")
	}
	if len(nodes) == 0 {
		return nil, usageError(c, fmt.Errorf("no replica to ask: name one or more with --node host:port, or in %s", nodesVariable))
	}
	return nodes, nil
}

// client connects to the cluster. The caller must close it.
func (o *clientOptions) client(c *cobra.Command) (*node.Client, error) {
	addresses, err := o.addresses(c)
	if err != nil {
		return nil, err
	}
	var caller []byte
	if o.caller != "" {
		if caller, err = node.ParseCaller(o.caller); err != nil {
			return nil, usageError(c, fmt.Errorf("--caller: %w", err))
		}
	}
	client, err := node.NewClient(node.ClientConfig{Addresses: addresses, Timeout: o.timeout, Caller: caller})
	if err != nil {
		return nil, usageError(c, fmt.Errorf("--node: %w", err))
	}
	return client, nil
}

// within bounds a command's calls by its --timeout.
func (o *clientOptions) within(c *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(c.Context(), o.timeout, fmt.Errorf("no answer within %v", o.timeout))
}

// with does something that talks to the cluster, within --timeout.
func (o *clientOptions) with(c *cobra.Command, do func(context.Context, *node.Client) error) error {
	client, err := o.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := o.within(c)
	defer cancel()
	return do(ctx, client)
}

// outcome is what became of a call.
type outcome struct {
	what     string
	response node.Response
	err      error
	// show makes text of a reply.
	show func([]byte) string
	// hint follows what the canister said when it turned the call down.
	hint string
}

// finish prints what became of a call and gives the exit code: 0 it was answered, 1 the canister or the state machine
// turned it down, 2 nobody knows whether it happened, 3 it certainly did not happen.
func (o *clientOptions) finish(c *cobra.Command, end outcome) error {
	if end.err != nil {
		return callFailed(end.what, end.err)
	}
	r := end.response
	if o.asJSON {
		shown := struct {
			node.Response
			Shown string `json:"shown,omitempty"`
		}{r, end.show(r.Reply)}
		if err := printJSON(c, shown); err != nil {
			return err
		}
	}
	switch r.Status {
	case fsm.StatusReplied:
		if !o.asJSON && len(r.Reply) == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "(an empty reply)")
		} else if !o.asJSON {
			fmt.Fprintln(c.OutOrStdout(), end.show(r.Reply))
		}
		return nil
	case fsm.StatusNoReply:
		if !o.asJSON {
			fmt.Fprintln(c.ErrOrStderr(), "(no reply)")
		}
		return nil
	}
	if o.asJSON {
		return &exitError{exitBad, nil}
	}
	text := escapeSigns(r.Text, "")
	if r.Status == fsm.StatusRejected {
		text = fmt.Sprintf("code %d: %s", r.RejectCode, text)
	}
	if (r.Status == fsm.StatusTrapped || r.Status == fsm.StatusRejected) && blamesArgument(r.Text) {
		text += end.hint
	}
	return &exitError{exitBad, fmt.Errorf("%s: %s in round %d: %s", end.what, r.Status, r.Round, text)}
}

func printJSON(c *cobra.Command, v any) error { return json.NewEncoder(c.OutOrStdout()).Encode(v) }

// callFailed says whether a call without a result may have happened.
func callFailed(what string, err error) error {
	var call *node.CallError
	if errors.As(err, &call) && call.Outcome == node.OutcomeUnknown {
		return &exitError{exitUndecided, fmt.Errorf("%s: whether it happened is not known: %w", what, err)}
	}
	return &exitError{exitFault, fmt.Errorf("%s: it did not happen: %w", what, err)}
}

// escapeSigns makes a text fit for a terminal: signs that would move its cursor, colour or hide something are written as in Go's
// quoted texts, but for those to keep.
func escapeSigns(text, keep string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) || strings.ContainsRune(keep, r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return b.String()
}

// showBytes gives printable text as it is and everything else in hexadecimal, with 0x before it.
func showBytes(b []byte) string {
	if utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t'
	}) {
		return string(b)
	}
	return "0x" + hex.EncodeToString(b)
}

// readLimited reads a file, or standard input for "-", that must not be longer than a bound.
func readLimited(c *cobra.Command, path string, most int64) ([]byte, error) {
	in := c.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s is larger than %d bytes, which is the most that is possible", path, most)
	}
	return data, nil
}
