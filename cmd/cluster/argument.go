package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/canister/candid"
	"lockstep/fsm"
	"lockstep/node"
)

// argOptions are the flags that say how an argument is written.
type argOptions struct {
	text, hex, base64, candid bool
	file, did                 string
}

func (o *argOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.text, "text", false, "ARG is the text itself, and the reply no Candid")
	f.BoolVar(&o.hex, "hex", false, "ARG is hexadecimal, and the reply no Candid")
	f.BoolVar(&o.base64, "base64", false, "ARG is base64, and the reply no Candid")
	f.BoolVar(&o.candid, "candid", false, "ARG is Candid text, also if nothing tells the method's types")
	f.StringVar(&o.file, "file", "", "read the argument's bytes from a file, - for standard input")
	f.StringVar(&o.did, "did", "", "a .did file with the canister's interface, in place of its own")
	c.MarkFlagsMutuallyExclusive("text", "hex", "base64", "candid", "file")
	c.MarkFlagsMutuallyExclusive("text", "hex", "base64", "did", "file")
}

// method is a method that is to be called, with its argument as bytes.
type method struct {
	arg []byte
	// show makes text of a reply.
	show func(reply []byte) string
	// hint follows what is said of a call that the canister turned down.
	hint string
}

// hintUnknown follows the failure of a call without an argument to a canister that has no interface.
const hintUnknown = "\nThe canister carries no interface, so it was sent no bytes at all: if it takes Candid, say '()', --candid or --did FILE"

// blamesArgument tells whether a canister may have turned a call down for its argument: what decodes Candid says so in one of these
// words, be it Motoko's, Rust's or Azle's.
func blamesArgument(text string) bool {
	text = strings.ToLower(text)
	for _, word := range []string{"candid", "idl", "argument", "decod", "deserial", "pars"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// method reads the argument, as the canister's interface says where there is one. args are NAME METHOD [ARG].
func (o *argOptions) method(ctx context.Context, c *cobra.Command, client *node.Client, args []string) (method, error) {
	if o.text || o.hex || o.base64 || o.file != "" {
		arg, err := o.bytes(c, args[2:])
		return method{arg: arg, show: showBytes}, err
	}
	d, err := o.description(ctx, c, client, args[0])
	if err != nil {
		return method{}, err
	}
	if d == nil && !o.candid {
		return unknownMethod(args), nil
	}
	text := "()"
	if len(args) > 2 {
		text = args[2]
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "(") {
		return method{}, usageError(c, fmt.Errorf("argument %q is no Candid, which canister %s takes: write it in parentheses, such as (%q), or say --text", text, args[0], text))
	}
	var types []*candid.Type
	var names map[uint32]string
	if d != nil {
		m, known := d.Methods[args[1]]
		if !known {
			return method{}, usageError(c, fmt.Errorf("the interface of canister %s has no method %q: it has %s; say --text or --hex to call one that is not in it",
				args[0], args[1], strings.Join(slices.Sorted(maps.Keys(d.Methods)), ", ")))
		}
		types, names = append([]*candid.Type{}, m.Args...), d.Names()
	}
	arg, err := candid.Encode(text, types)
	if err != nil {
		return method{}, usageError(c, fmt.Errorf("argument of %s: %w", args[1], err))
	}
	return method{arg: arg, show: func(reply []byte) string { return showCandid(reply, names) }}, nil
}

// unknownMethod is a method of a canister that tells nothing of what it takes. What reads as Candid in parentheses is Candid, and
// everything else the text itself, as candidOrText says.
func unknownMethod(args []string) method {
	if len(args) < 3 {
		return method{show: showUnknown, hint: hintUnknown}
	}
	return method{arg: candidOrText(args[2]), show: showUnknown}
}

// candidOrText is the argument of a canister without an interface: a text such as (5, "x") in Candid if it can be read as that.
func candidOrText(text string) []byte {
	if strings.HasPrefix(strings.TrimSpace(text), "(") {
		if arg, err := candid.Encode(text, nil); err == nil {
			return arg
		}
	}
	return []byte(text)
}

// showUnknown makes text of a reply in Candid where it begins like one and can be read as that.
func showUnknown(reply []byte) string {
	if bytes.HasPrefix(reply, []byte("DIDL")) {
		return showCandid(reply, nil)
	}
	return showBytes(reply)
}

// description is the canister's interface; nil if there is none.
func (o *argOptions) description(ctx context.Context, c *cobra.Command, client *node.Client, name string) (*candid.Description, error) {
	if o.did != "" {
		file, err := readLimited(c, o.did, fsm.MaxModuleBytes)
		if err != nil {
			return nil, err
		}
		d, err := candid.Parse(string(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.did, err)
		}
		return d, nil
	}
	did, err := client.Interface(ctx, name)
	if err != nil || did == "" {
		return nil, nil // the call itself will say what is wrong
	}
	d, err := candid.Parse(did)
	if err != nil {
		return nil, fmt.Errorf("the interface that canister %s carries: %w; give another one with --did, or say --text or --hex", name, err)
	}
	return d, nil
}

// bytes gives the argument where it is no Candid; rest is the command line after the method.
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

// showCandid makes text of a reply in Candid. One that is none is shown as bytes.
func showCandid(reply []byte, names map[uint32]string) string {
	text, err := candid.Decode(reply, names)
	if err != nil {
		return showBytes(reply)
	}
	return text
}
