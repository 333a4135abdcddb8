package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/canister/candid"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// ownOptions are the flags by which somebody's own modules are run in place of those that come with Lockstep.
type ownOptions struct {
	modules        []string
	did, workload  string
	init           string
	calls, queries []string

	read      []workload.Module // of modules
	text      []byte            // of the workload
	drawn     []workload.Call   // of calls and queries
	noQueries bool              // there are none among the messages
}

func (o *ownOptions) register(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.modules, "module", nil, "run [NAME=]FILE.wasm or .wat in place of the canisters that come with Lockstep; once for each")
	f.StringVar(&o.did, "did", "", "a .did file with the interface of --module, in place of its own")
	f.StringVar(&o.init, "init", "", "argument that --module is installed with (default: made up by its interface)")
	f.StringArrayVar(&o.calls, "call", nil, "clients call an update: '[WEIGHT] [NAME.]METHOD [ARG]', such as 'inc ()'; once for each")
	f.StringArrayVar(&o.queries, "query", nil, "clients call a query, written in the same way; once for each")
	f.StringVar(&o.workload, "workload", "", "file of messages and generators that clients send to --module, one JSON object a line")
}

// flags are those given, as a command has them.
func (o *ownOptions) flags() string {
	text := ""
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				text += " --" + flag + " " + quoteArg(v)
			}
		}
	}
	add("module", o.modules...)
	add("did", o.did)
	add("init", o.init)
	add("call", o.calls...)
	add("query", o.queries...)
	add("workload", o.workload)
	return text
}

// quoteArg quotes a word for a shell, if it needs that.
func quoteArg(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n'\"()$`\\;&|<>*?[]{}!#~") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// check tells what is wrong with the flags by themselves.
func (o *ownOptions) check() error {
	switch {
	case len(o.modules) == 0 && o.flags() != "":
		return errors.New("--did, --init, --call, --query and --workload are for --module")
	case o.workload != "" && len(o.calls)+len(o.queries) > 0:
		return errors.New("--workload and --call or --query: choose one")
	case (o.did != "" || o.init != "") && len(o.modules) != 1:
		return errors.New("--did and --init are for one --module")
	}
	return nil
}

// open reads what the flags name.
func (o *ownOptions) open(c *cobra.Command) error {
	if len(o.modules) == 0 {
		return nil
	}
	for _, text := range o.modules {
		m, err := readModule(c, text)
		if err != nil {
			return err
		}
		o.read = append(o.read, m)
	}
	if err := o.describe(c, &o.read[0]); err != nil {
		return err
	}
	var err error
	if o.workload != "" {
		o.text, err = readLimited(c, o.workload, workload.MaxBytes)
	} else {
		o.drawn, err = o.parse(o.read)
	}
	if err != nil {
		return err
	}
	load, err := o.load(1)
	if err != nil {
		return err
	}
	w, _, err := load.Open("")
	if err != nil {
		return err
	}
	o.noQueries = len(w.Queries(1, 1)) == 0
	return nil
}

// load is what clients send in the run of a seed; nil for the embedded workload of its plan. It fails for every seed or for none.
func (o *ownOptions) load(seed uint64) (*workload.Load, error) {
	switch {
	case len(o.read) == 0:
		return nil, nil
	case o.workload != "":
		return &workload.Load{Name: o.workload, Text: o.text, Modules: o.read}, nil
	}
	return workload.Draw(o.read[0].Name, o.read, o.drawn, seed)
}

// describe gives a module the interface and the argument of the flags.
func (o *ownOptions) describe(c *cobra.Command, m *workload.Module) error {
	if o.did != "" {
		file, err := readLimited(c, o.did, fsm.MaxModuleBytes)
		if err != nil {
			return err
		}
		d, err := candid.Parse(string(file))
		if err != nil {
			return fmt.Errorf("--did %s: %w", o.did, err)
		}
		m.Describe(d)
	}
	if o.init == "" {
		return nil
	}
	var types []*candid.Type
	if m.Interface != nil {
		types = append([]*candid.Type{}, m.Interface.Init...)
	}
	arg, err := argument(o.init, types, m.Interface != nil)
	if err != nil {
		return fmt.Errorf("--init: %w", err)
	}
	m.Arg = arg
	return nil
}

// argument reads one as cluster call does: Candid where there is an interface, else Candid in parentheses or the text itself.
func argument(text string, types []*candid.Type, described bool) ([]byte, error) {
	if !described {
		return candidOrText(text), nil
	}
	return candid.Encode(text, types)
}

// parse reads --call and --query.
func (o *ownOptions) parse(modules []workload.Module) (calls []workload.Call, err error) {
	for i, text := range slices.Concat(o.calls, o.queries) {
		query := i >= len(o.calls)
		call, err := parseCall(text, modules, query)
		if err != nil {
			flag := "--call"
			if query {
				flag = "--query"
			}
			return nil, fmt.Errorf("%s %q: %w", flag, text, err)
		}
		calls = append(calls, call)
	}
	return calls, nil
}

// parseCall reads [WEIGHT] [NAME.]METHOD [ARG].
func parseCall(text string, modules []workload.Module, query bool) (call workload.Call, err error) {
	call = workload.Call{Message: workload.Message{Canister: modules[0].Name, Query: query}, Weight: 1}
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 || n > 1_000_000 {
			return call, fmt.Errorf("the weight %d is not within 1 and 1000000", n)
		}
		call.Weight = n
		word, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	}
	m := &modules[0]
	if name, method, ok := strings.Cut(word, "."); ok {
		if i := slices.IndexFunc(modules, func(m workload.Module) bool { return m.Name == name }); i >= 0 {
			m, word = &modules[i], method
		}
	}
	call.Canister, call.Method = m.Name, word
	have := m.Updates
	if query {
		have = m.Queries
	}
	if !slices.Contains(have, word) && (query || !slices.Contains(m.Queries, word)) {
		return call, fmt.Errorf("module %s does not export the method %q; it exports %s", m.Name, word, strings.Join(have, ", "))
	}
	var described *candid.Method
	if m.Interface != nil {
		described = m.Interface.Methods[word]
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		call.Draw = described != nil
		return call, nil
	}
	var types []*candid.Type
	if described != nil {
		types = append([]*candid.Type{}, described.Args...)
	}
	call.Arg, err = argument(rest, types, described != nil)
	return call, err
}

// apply makes a plan one of the load.
func (o *ownOptions) apply(p *plan.Plan) *plan.Plan {
	if len(o.read) > 0 {
		p.Workload.Name = o.read[0].Name
		if o.noQueries {
			p.Workload.Queries, p.Workload.Stale = 0, 0
		}
	}
	return p
}
