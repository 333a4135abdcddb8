package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"lockstep/chaos/replay"
	"lockstep/snapshot"
)

func newDiffCommand() *cobra.Command {
	var asJSON, across bool
	var show int
	c := &cobra.Command{
		Use:     "diff A B",
		Short:   "Compare two checkpoints, or two live replicas: canisters, globals, pages, bytes",
		GroupID: groupDisk,
		Long: `Compares the states of two checkpoints. What differs is found by hashes: memories with equal roots are not looked into, page
hashes are compared in the others, and only pages that are shown are read. The last line says how many.
Of a folder with several checkpoints (a replica's data folder) the newest is taken; the round and the log index may differ.

A and B may instead be client ports (host:port) of two live replicas, also of one that has diverged. Both then hold the state of
one round that they have in common for a moment, while rounds go on, and only hashes and what differs are read. Replicas keep the
states of their newest 16 rounds or so: one that stopped longer ago has no round in common with the others, and is compared at
another round than they with --across-rounds.

Exit codes: 0 equal, 1 different, 2 undecided (live replicas had no round in common), 3 one could not be read.`,
		Example: `  cluster diff ./demo/n1 ./demo/n2
  cluster diff a/checkpoint-100-2-0 a/checkpoint-200-2-0
  cluster diff 127.0.0.1:8001 127.0.0.1:8002`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if isAddress(args[0]) && isAddress(args[1]) {
				return diffLive(c.Context(), c.OutOrStdout(), liveDiff{addresses: [2]string{args[0], args[1]}, across: across, show: show}, asJSON)
			}
			if isAddress(args[0]) || isAddress(args[1]) {
				return usageError(c, fmt.Errorf("compare two folders or two live replicas: %s and %s are one of each, or a folder is not there", args[0], args[1]))
			}
			return diffFolders(c, [2]string{args[0], args[1]}, show, asJSON)
		},
	}
	c.Flags().IntVar(&show, "pages", 16, "pages of each canister whose bytes are shown")
	c.Flags().BoolVar(&across, "across-rounds", false, "compare live replicas at different rounds when they have none in common")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// isAddress tells host:port from a folder.
func isAddress(text string) bool {
	if _, err := os.Stat(text); err == nil {
		return false
	}
	host, port, err := net.SplitHostPort(text)
	return err == nil && host != "" && port != ""
}

// diffSide is one side as it is shown.
type diffSide struct {
	Path  string `json:"path"`
	Round uint64 `json:"round"`
	Index uint64 `json:"index,omitempty"`
	Root  string `json:"root"`
}

// diffResult is what diff prints as JSON.
type diffResult struct {
	A          diffSide                `json:"a"`
	B          diffSide                `json:"b"`
	Equal      bool                    `json:"equal"`
	Difference *replay.StateDifference `json:"difference,omitempty"`
	// FirstRound is the first round of which live replicas know different roots; 0 for none.
	FirstRound uint64 `json:"first_round,omitempty"`
	// Trips and Read are the requests and the bytes of hashes and pages that comparing live replicas took.
	Trips uint64 `json:"requests,omitempty"`
	Read  uint64 `json:"bytes_read,omitempty"`
	// Nodes is how many nodes of live replicas' page tries were read, Hashes how many page hashes of checkpoints were compared, Pages
	// how many pages were read, of both sides together.
	Nodes  uint64 `json:"nodes_read,omitempty"`
	Hashes uint64 `json:"hashes_compared,omitempty"`
	Pages  uint64 `json:"pages_read"`
}

func diffFolders(command *cobra.Command, dirs [2]string, show int, asJSON bool) (err error) {
	var opened [2]*snapshot.Checkpoint
	for i, dir := range dirs {
		path, err := newestCheckpoint(command.ErrOrStderr(), dir)
		if err != nil {
			return err
		}
		if opened[i], err = snapshot.OpenDir(path); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened[i].Close()) }()
	}
	d, err := replay.Compare(opened[0], opened[1], show)
	if err != nil {
		return err
	}
	result := diffResult{A: sideOf(opened[0]), B: sideOf(opened[1]), Equal: d.Empty(), Difference: d,
		Hashes: d.Hashes, Pages: d.PagesRead}
	err = printDiff(command.OutOrStdout(), &result, asJSON)
	if !asJSON {
		fmt.Fprintf(command.OutOrStdout(), "compared by hashes: %d page hashes, of memories whose roots differ; %d pages read\n", result.Hashes, result.Pages)
	}
	return err
}

func sideOf(c *snapshot.Checkpoint) diffSide {
	return diffSide{Path: c.Dir, Round: c.Round, Index: c.Index, Root: c.Root.String()}
}

func printDiff(w io.Writer, r *diffResult, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		for i, s := range []diffSide{r.A, r.B} {
			fmt.Fprintf(w, "%c: %s, round %d, index %d, root %.16s…\n", 'A'+i, s.Path, s.Round, s.Index, s.Root)
		}
		if r.FirstRound != 0 {
			fmt.Fprintf(w, "their roots are known to differ from round %d on\n", r.FirstRound)
		}
		printStateDifference(w, r.Difference)
	}
	if !r.Equal {
		return &exitError{exitBad, nil}
	}
	return nil
}

// printStateDifference describes a difference for people.
func printStateDifference(w io.Writer, d *replay.StateDifference) {
	if d.Empty() {
		fmt.Fprintln(w, "equal")
		return
	}
	for _, f := range d.Fields {
		fmt.Fprintf(w, "%s: %s | %s\n", f.Name, orNone(f.A), orNone(f.B))
	}
	for _, c := range d.Canisters {
		if c.Only != "" {
			fmt.Fprintf(w, "canister %s: only in %s\n", c.Name, map[string]string{"a": "A", "b": "B"}[c.Only])
			continue
		}
		fmt.Fprintf(w, "canister %s: %d pages differ\n", c.Name, c.Pages)
		for _, f := range c.Fields {
			fmt.Fprintf(w, "  %s: %s | %s\n", f.Name, orNone(f.A), orNone(f.B))
		}
		printPages(w, "memory", c.MemoryDifference)
		if c.Stable != nil {
			fmt.Fprintf(w, "  stable memory: %d pages differ\n", c.Stable.Pages)
			printPages(w, "stable memory", *c.Stable)
		}
	}
}

func printPages(w io.Writer, memory string, m replay.MemoryDifference) {
	for _, p := range m.Shown {
		fmt.Fprintf(w, "  page %d (%s offset %#x)\n", p.Page, memory, p.Page*snapshot.PageSize)
		for _, r := range p.Ranges {
			printRange(w, p.Page, r)
		}
	}
	if more := m.Pages - uint64(len(m.Shown)); more > 0 {
		fmt.Fprintf(w, "  and %d more pages (--pages shows more)\n", more)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// printRange shows both sides of a range of bytes in rows of eight.
func printRange(w io.Writer, page uint64, r snapshot.ByteRange) {
	const row, most = 8, 64
	n := max(len(r.A), len(r.B))
	for at := 0; at < min(n, most); at += row {
		a, b := r.A[min(at, len(r.A)):min(at+row, len(r.A))], r.B[min(at, len(r.B)):min(at+row, len(r.B))]
		fmt.Fprintf(w, "    %08x  A %-23s |%-8s|  B %-23s |%-8s|\n", page*snapshot.PageSize+r.Offset+uint64(at), fmt.Sprintf("% x", a), letters(a), fmt.Sprintf("% x", b), letters(b))
	}
	if n > most {
		fmt.Fprintf(w, "              and %d more bytes\n", n-most)
	}
}

// letters shows bytes as text, what is not printable as a dot.
func letters(b []byte) string {
	text := make([]byte, len(b))
	for i, c := range b {
		if text[i] = '.'; c >= ' ' && c <= '~' {
			text[i] = c
		}
	}
	return string(text)
}
