package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/sim/plant"
)

func newChaosExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [NAME...]",
		Short: "Say what kinds of faults, checks, rare paths and planted bugs there are, or what one of them is",
		Example: "  cluster chaos explain\n  cluster chaos explain partition\n  cluster chaos explain linearizability liveness\n" +
			"  cluster chaos explain missed-write",
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				return explainAll(c.OutOrStdout())
			}
			for i, name := range names {
				text := explained(name)
				if text == "" {
					return usageError(c, fmt.Errorf("%q is no kind of fault, no check, no rare path and no planted bug; cluster chaos explain lists them", name))
				}
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				fmt.Fprintln(c.OutOrStdout(), text)
			}
			return nil
		},
	}
}

// explainAll prints a line for each thing that has a name in plans and verdicts.
func explainAll(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "Kinds of faults: at TIME [for TIME] KIND [KEY=VALUE...] in a plan")
	for _, s := range plan.Specs() {
		fmt.Fprintf(t, "  %s\t%s%s\n", s.Kind, s.Doc, onlyIn(&s))
	}
	fmt.Fprintln(t, "\nChecks")
	for _, name := range check.Names() {
		fmt.Fprintf(t, "  %s\t%s\n", name, inShort(check.Doc(name)))
	}
	fmt.Fprintln(t, "\nRare paths: a batch of 300 seeds that misses one is undecided")
	for _, name := range history.MarkNames() {
		fmt.Fprintf(t, "  %s\t%s\n", name, name.Doc())
	}
	fmt.Fprintln(t, "\nPlanted bugs: cluster chaos --plant NAME")
	for _, p := range plant.All() {
		fmt.Fprintf(t, "  %s\t%s\n", p.Name, strings.TrimSuffix(p.Doc, "."))
	}
	return t.Flush()
}

func onlyIn(s *plan.Spec) string {
	switch s.Layers {
	case plan.Sim:
		return " (--sim only)"
	case plan.Real:
		return " (--real only)"
	}
	return ""
}

// explained says what a name stands for; "" if nothing has it.
func explained(name string) string {
	if s, ok := plan.SpecOf(plan.Kind(name)); ok {
		text := fmt.Sprintf("%s, a kind of fault%s\n  %s\n  %s", s.Kind, onlyIn(&s), s.Doc, s.Line())
		if len(s.Needs) > 0 && s.Needs[0] == "nodes" {
			text += "\n  REPLICAS are " + plan.Replicas()
		}
		return text
	}
	if doc := check.Doc(name); doc != "" {
		return fmt.Sprintf("%s, a check\n  %s", name, strings.ReplaceAll(doc, "\n", "\n  "))
	}
	if doc := history.MarkName(name).Doc(); doc != "" {
		return fmt.Sprintf("%s, a rare path\n  %s", name, doc)
	}
	i := slices.IndexFunc(plant.All(), func(p plant.Plant) bool { return p.Name == name })
	if i < 0 {
		return ""
	}
	p := plant.All()[i]
	verb := "to be found by"
	if p.Blind {
		verb = "which is kept from"
	}
	return fmt.Sprintf("%s, a planted bug, %s %s\n  %s\n  cluster chaos --plant %s", name, verb, strings.Join(p.Expect, " or "), p.Doc, name)
}

// inShort is a text's first clause.
func inShort(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:max(strings.IndexAny(text+".", ".:;("), 0)]
}
