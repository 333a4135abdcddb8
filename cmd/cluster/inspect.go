package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/snapshot"
)

func newInspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "inspect DIR",
		Short:   "Show what is in a checkpoint: canisters, pages, files, sessions, limits",
		GroupID: groupDisk,
		Long: `Shows what is in a checkpoint. Of a folder with several (a replica's data folder, a run's) the newest is shown.
The manifest, the table and the indexes are checked on the way, the pages are not: see cluster verify.

Exit codes: 0 shown, 1 the checkpoint is damaged, 3 there is none, or it could not be read.`,
		Example: "  cluster inspect ./demo/n1",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := newestCheckpoint(c.ErrOrStderr(), args[0])
			if err != nil {
				return damageExit(err)
			}
			i, err := inspectCheckpoint(path)
			if err != nil {
				return damageExit(err)
			}
			if asJSON {
				encoder := json.NewEncoder(c.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(i)
			}
			return i.print(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// damageExit gives a damaged checkpoint its exit code.
func damageExit(err error) error {
	if snapshot.IsDamage(err) {
		return &exitError{exitBad, err}
	}
	return err
}

// inspection is what is in a checkpoint.
type inspection struct {
	Path        string              `json:"path"`
	Cluster     string              `json:"cluster"`
	Round       uint64              `json:"round"`
	Index       uint64              `json:"index"`
	Term        uint64              `json:"term"`
	Root        string              `json:"root"`
	Time        int64               `json:"time"`
	Servers     int                 `json:"servers"`
	Bytes       uint64              `json:"bytes"`
	TableBytes  uint64              `json:"table_bytes"`
	StreamBytes int64               `json:"stream_bytes"`
	Sessions    int                 `json:"sessions"`
	NextSession uint64              `json:"next_session"`
	Limits      fsm.Limits          `json:"limits"`
	Canisters   []inspectedCanister `json:"canisters"`
}

type inspectedCanister struct {
	ID          uint64 `json:"id"`
	Name        string `json:"name"`
	Module      string `json:"module"`
	ModuleBytes uint64 `json:"module_bytes"`
	Globals     int    `json:"globals"`
	MemoryBytes uint64 `json:"memory_bytes"`
	Pages       uint64 `json:"pages"` // not zero
	// StableBytes and StablePages are of its stable memory.
	StableBytes uint64 `json:"stable_bytes"`
	StablePages uint64 `json:"stable_pages"`
	// Layers are the files of its memory, its stable memory and its module, of each the base first.
	Layers []inspectedLayer `json:"layers"`
}

type inspectedLayer struct {
	Of      string `json:"of"`   // memory, stable or module
	Kind    string `json:"kind"` // base or overlay
	File    string `json:"file"`
	Bytes   uint64 `json:"bytes"`
	Pages   uint64 `json:"pages"`
	Visible uint64 `json:"visible"` // of them not hidden by newer files
	Zeros   uint64 `json:"zeros"`
	Born    uint64 `json:"born_index"`
	Age     uint64 `json:"age_entries"` // log entries since it was written
}

func inspectCheckpoint(path string) (i *inspection, err error) {
	c, err := snapshot.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	contents, err := fsm.ReadContents(c)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	info := c.Inspect()
	i = &inspection{Path: path, Cluster: c.Cluster, Round: info.Round, Index: info.Index, Term: info.Term, Root: info.Root.String(), Time: contents.Time,
		Servers: info.Servers, Bytes: info.Bytes, TableBytes: info.TableBytes, StreamBytes: info.StreamBytes,
		Sessions: len(contents.Sessions), NextSession: uint64(contents.NextSession), Limits: contents.Limits}
	memories := map[string]snapshot.MemoryInfo{}
	for _, m := range info.Memories {
		memories[m.Name] = m
	}
	for _, k := range contents.Canisters {
		m := memories[k.Memory]
		out := inspectedCanister{ID: uint64(k.ID), Name: k.Name, Module: k.Module.String(), ModuleBytes: k.CodeBytes,
			Globals: len(k.Globals), MemoryBytes: m.Size * snapshot.PageSize, Pages: m.Pages}
		stable := memories[k.Stable]
		out.StableBytes, out.StablePages = stable.Size*snapshot.PageSize, stable.Pages
		for _, of := range []struct {
			name   string
			memory snapshot.MemoryInfo
		}{{"memory", m}, {"stable", stable}, {"module", memories[k.Code]}} {
			for n, l := range of.memory.Layers {
				kind := "overlay"
				if n == 0 {
					kind = "base"
				}
				out.Layers = append(out.Layers, inspectedLayer{Of: of.name, Kind: kind, File: l.Name, Bytes: l.Bytes, Pages: l.Pages,
					Visible: l.Visible, Zeros: l.Zeros, Born: l.Born, Age: info.Index - min(l.Born, info.Index)})
			}
		}
		i.Canisters = append(i.Canisters, out)
	}
	return i, nil
}

func (i *inspection) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", i.Path)
	fmt.Fprintf(w, "cluster %q, round %d, index %d, term %d, root %s\n", i.Cluster, i.Round, i.Index, i.Term, i.Root)
	fmt.Fprintf(w, "time %s, %d servers, %d sessions (%d opened so far)\n", time.Unix(0, i.Time).UTC().Format(time.RFC3339Nano), i.Servers, i.Sessions, i.NextSession-1)
	fmt.Fprintf(w, "%s on disk, table %s, sent to a new replica as %s\n\n", bytesText(i.Bytes), bytesText(i.TableBytes), bytesText(uint64(i.StreamBytes)))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CANISTER\tMODULE\tMEMORY\tPAGES\tSTABLE\tPAGES\tGLOBALS\tFILES")
	for _, c := range i.Canisters {
		fmt.Fprintf(t, "%d %s\t%.12s…\t%s\t%d\t%s\t%d\t%d\t%d\n", c.ID, c.Name, c.Module, bytesText(c.MemoryBytes), c.Pages, bytesText(c.StableBytes), c.StablePages, c.Globals, len(c.Layers))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(t, "FILE OF\tKIND\tPAGES\tVISIBLE\tZEROS\tBYTES\tBORN AT\tAGE\tNAME")
	for _, c := range i.Canisters {
		for _, l := range c.Layers {
			fmt.Fprintf(t, "%s %s\t%s\t%d\t%d\t%d\t%d\tindex %d\t%d entries\t%.12s…\n", c.Name, l.Of, l.Kind, l.Pages, l.Visible, l.Zeros, l.Bytes, l.Born, l.Age, l.File)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nlimits %s\n", replay.LimitsText(i.Limits))
	return err
}
