package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// chaosFlags are the flags of the command, in the order of its help.
var chaosFlags = []string{"sim", "real", "seed", "seeds", "plan", "time", "nodes", "out", "jobs", "runs", "planted", "plant", "shrink", "rejudge", "json",
	"module", "did", "init", "call", "query", "workload", "lie"}

// given are the names of the flags that the user gave.
func given(c *cobra.Command) []string {
	var names []string
	for _, name := range chaosFlags {
		if c.Flags().Changed(name) {
			names = append(names, name)
		}
	}
	return names
}

// checkAlone refuses flags that would be without any effect beside others: who gives one expects something of it.
func (o *chaosOptions) checkAlone(given []string) error {
	switch {
	case o.rejudge != "":
		return onlyWith(given, "rejudge", "it judges a report and runs nothing", "json")
	case o.planted && o.real:
		return onlyWith(given, "planted", "it has one plan, and keeps no report", "real", "nodes", "time", "json")
	case o.planted:
		return onlyWith(given, "planted", "it has plans of its own and keeps no reports", "sim", "jobs", "json")
	case o.jobs != 0 && o.seeds == "":
		return fmt.Errorf("--jobs is for --seeds and --planted: runs of one plan are made one after the other")
	}
	return nil
}

// onlyWith refuses what was given beside a flag and is not among the flags that go with it.
func onlyWith(given []string, flag, why string, with ...string) error {
	var others []string
	for _, name := range given {
		if name != flag && !slices.Contains(with, name) {
			others = append(others, "--"+name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("--%s does not go with %s: %s", flag, strings.Join(others, " and "), why)
}
