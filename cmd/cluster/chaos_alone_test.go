package main

import (
	"regexp"
	"slices"
	"testing"
)

// A flag that is not listed would be without effect beside --planted and --rejudge, and nobody would be told.
func TestEveryChaosFlagIsListed(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z-]+)`).FindAllStringSubmatch(newChaosCommand().Flags().FlagUsages(), -1)
	if len(lines) < 15 {
		t.Fatalf("only %d flags were found in the help", len(lines))
	}
	for _, line := range lines {
		if !slices.Contains(chaosFlags, line[1]) {
			t.Errorf("--%s is not in the list", line[1])
		}
	}
}
