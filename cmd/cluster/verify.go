package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/fsm"
	"lockstep/snapshot"
)

func newVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "verify DIR…",
		Short:   "Check every byte of the checkpoints in a folder",
		GroupID: groupDisk,
		Long: `Checks every byte of checkpoints: manifest, table, indexes, every page against its hash, every memory's root. A folder is
a checkpoint, a folder of checkpoints, the data folder of a replica, or that of a run. The first fault of each is named
with its file and offset. Checkpoints that a replica has set aside as damaged are listed, not checked.

Exit codes: 0 all are sound, 1 one is damaged, 3 there is nothing to check, or it could not be read.`,
		Example: `  cluster verify ./demo
  cluster verify ./demo/n1/checkpoints/checkpoint-2048-2-0`,
		Args: arguments(1, 1000),
		RunE: func(c *cobra.Command, args []string) error {
			return verifyFolders(c.OutOrStdout(), args, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each checkpoint")
	return c
}

// Names that tell what a folder is.
const (
	checkpointManifest = "manifest"
	checkpointPrefix   = "checkpoint-"
	damagedPrefix      = "damaged-"
	checkpointsFolder  = "checkpoints"
	runManifest        = "cluster.json"
)

// errNothingThere marks a folder without checkpoints.
var errNothingThere = errors.New("there is no checkpoint: name a checkpoint, a folder of checkpoints, a replica's data folder or a run's")

// findCheckpoints lists the checkpoints that a folder is or holds, and those set aside in it.
func findCheckpoints(dir string) (found, aside []string, err error) {
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil, fmt.Errorf("%q is no folder: name a checkpoint, a folder of checkpoints, a replica's data folder or a run's", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	if isCheckpoint(dir, entries) {
		return []string{dir}, nil, nil
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), checkpointPrefix):
			found = append(found, path)
		case strings.HasPrefix(e.Name(), damagedPrefix):
			aside = append(aside, path)
		}
	}
	if len(found)+len(aside) > 0 {
		return found, aside, nil
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() != checkpointsFolder && !has(entries, runManifest) {
			continue
		}
		f, a, err := findCheckpoints(filepath.Join(dir, e.Name()))
		if err != nil && !errors.Is(err, errNothingThere) {
			return nil, nil, err
		}
		found, aside = append(found, f...), append(aside, a...)
	}
	if len(found)+len(aside) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", dir, errNothingThere)
	}
	return found, aside, nil
}

// isCheckpoint tells a checkpoint by its manifest, or by its name if that is lost.
func isCheckpoint(dir string, entries []fs.DirEntry) bool {
	name := strings.TrimPrefix(filepath.Base(filepath.Clean(dir)), damagedPrefix)
	return has(entries, checkpointManifest) || strings.HasPrefix(name, checkpointPrefix)
}

func has(entries []fs.DirEntry, name string) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
}

// checkedCheckpoint is one line of the result.
type checkedCheckpoint struct {
	Path     string  `json:"path"`
	Sound    bool    `json:"sound"`
	Index    uint64  `json:"index,omitempty"`
	Term     uint64  `json:"term,omitempty"`
	Round    uint64  `json:"round,omitempty"`
	Root     string  `json:"root,omitempty"`
	Memories int     `json:"memories,omitempty"`
	Files    int     `json:"files,omitempty"`
	Pages    uint64  `json:"pages,omitempty"`
	Bytes    uint64  `json:"bytes,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	// File, Offset and Fault are of the first fault.
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Fault  string `json:"fault,omitempty"`
	// Note says why it was not checked.
	Note string `json:"note,omitempty"`
}

func verifyFolders(w io.Writer, dirs []string, asJSON bool) error {
	code, checked := exitGood, 0
	for _, dir := range dirs {
		found, aside, err := findCheckpoints(dir)
		if err != nil {
			return err
		}
		for _, path := range aside {
			(&checkedCheckpoint{Path: path, Note: "set aside by its replica as damaged; see its file REASON"}).print(w, asJSON)
		}
		for _, path := range found {
			result, err := verifyOne(path)
			if err != nil {
				return err
			}
			if result.Fault != "" {
				code = exitBad
			}
			checked++
			result.print(w, asJSON)
		}
	}
	if checked == 0 {
		return errors.New("every checkpoint there was set aside: nothing was checked; name one of them to check it")
	}
	if code != exitGood {
		return &exitError{code, nil}
	}
	return nil
}

func verifyOne(path string) (*checkedCheckpoint, error) {
	began := time.Now()
	report, err := snapshot.Verify(path, fsm.Hashing())
	var damage *snapshot.Damage
	switch {
	case errors.As(err, &damage):
		if _, gone := os.Stat(path); errors.Is(gone, fs.ErrNotExist) {
			return &checkedCheckpoint{Path: path, Note: "its replica removed it meanwhile"}, nil
		}
		return &checkedCheckpoint{Path: path, File: damage.File, Offset: damage.Offset, Fault: damage.Fault}, nil
	case err != nil:
		return nil, fmt.Errorf("verify %s: %w", path, err)
	}
	return &checkedCheckpoint{Path: path, Sound: true, Index: report.Index, Term: report.Term, Round: report.Round,
		Root: report.Root.String(), Memories: report.Memories, Files: report.Files, Pages: report.Pages, Bytes: report.Bytes,
		Seconds: time.Since(began).Seconds()}, nil
}

func (c *checkedCheckpoint) print(w io.Writer, asJSON bool) {
	switch {
	case asJSON:
		_ = json.NewEncoder(w).Encode(c) // a reader that has left is told nothing
	case c.Note != "":
		fmt.Fprintf(w, "skipped  %s: %s\n", c.Path, c.Note)
	case c.Fault != "":
		fmt.Fprintf(w, "DAMAGED  %s\n         file %s, offset %d: %s\n", c.Path, c.File, c.Offset, c.Fault)
	default:
		fmt.Fprintf(w, "sound    %s\n         round %d, index %d, root %.16s…, %d files, %d pages, %s in %.2fs\n",
			c.Path, c.Round, c.Index, c.Root, c.Files, c.Pages, bytesText(c.Bytes), c.Seconds)
	}
}

// bytesText is a size for people.
func bytesText(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// newestCheckpoint finds the newest checkpoint that a folder is or holds. One that is passed over because it is damaged is noted.
func newestCheckpoint(notes io.Writer, dir string) (string, error) {
	found, _, err := findCheckpoints(dir)
	if err != nil {
		return "", err
	}
	newest, best := "", uint64(0)
	for _, path := range found {
		c, err := snapshot.OpenDir(path)
		if err != nil {
			if len(found) == 1 {
				return "", err
			}
			if _, gone := os.Stat(path); gone == nil { // its replica may have removed it meanwhile
				fmt.Fprintf(notes, "passed over: %v\n", err)
			}
			continue
		}
		if index := c.Index; newest == "" || index >= best {
			newest, best = path, index
		}
		if err := c.Close(); err != nil {
			return "", err
		}
	}
	if newest == "" {
		return "", fmt.Errorf("%s: none of its %d checkpoints can be opened; see: cluster verify %s", dir, len(found), dir)
	}
	return newest, nil
}
