package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/raft"
)

// Names in a replica's data folder, as package node writes them.
const (
	// LogFile is the replica's log.
	LogFile = "raft.db"

	lockFile       = "lock"
	identityFile   = "node.json"
	checkpointsDir = "checkpoints"
	checkpointName = "checkpoint-"
	manifestFile   = "manifest"
)

// ErrInUse marks a folder that a running replica uses.
var ErrInUse = errors.New("is in use by another process: stop that replica first, or work on a copy")

// ErrNoReplica marks a folder that is not a replica's.
var ErrNoReplica = errors.New("is no replica's data folder (it has no raft.db): name the folder of one replica, such as RUN/n1, or that of a run")

// Folder is the data folder of a stopped replica, opened to be read. The replica can't be started until Close.
type Folder struct {
	Path          string
	Node, Cluster string // as its node.json says; empty without one
	// Log is the replica's log; it gives an error for an entry that was damaged.
	Log raft.LogStore
	// Checkpoints are its checkpoint folders, oldest first.
	Checkpoints []string

	closers []func() error
}

// OpenFolder opens a replica's data folder. Errors say whether it is in use (ErrInUse), no replica's (ErrNoReplica), or what
// in it is damaged.
func OpenFolder(path string) (*Folder, error) {
	f := &Folder{Path: path}
	for name, needed := range map[string]bool{LogFile: true, lockFile: false, identityFile: false} {
		info, err := os.Stat(filepath.Join(path, name))
		if errors.Is(err, fs.ErrNotExist) && !needed {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil, fmt.Errorf("%q %w", path, ErrNoReplica)
		}
		if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its other end
			return nil, fmt.Errorf("%q %w: its %s is no regular file", path, ErrNoReplica, name)
		}
	}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) open() error {
	if err := f.lock(); err != nil {
		return err
	}
	if text, err := os.ReadFile(filepath.Join(f.Path, identityFile)); err == nil {
		var id struct{ Cluster, Node string }
		if json.Unmarshal(text, &id) == nil {
			f.Node, f.Cluster = id.Node, id.Cluster
		}
	}
	var err error
	if f.Checkpoints, err = ListCheckpoints(filepath.Join(f.Path, checkpointsDir)); err != nil {
		return err
	}
	return f.openLog()
}

// Close lets the folder go.
func (f *Folder) Close() error {
	var errs []error
	for _, c := range slices.Backward(f.closers) {
		errs = append(errs, c())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// ListCheckpoints gives the checkpoint folders in a folder of checkpoints, oldest first. A folder that is missing has none.
// Of one log entry only the newest counts: the others were merged into it.
func ListCheckpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	type found struct {
		path  string
		order [3]uint64 // index, term, number
	}
	var all []found
	for _, e := range entries {
		if order, ok := parseCheckpointName(e.Name()); ok && e.IsDir() {
			all = append(all, found{filepath.Join(dir, e.Name()), order})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return slices.Compare(a.order[:], b.order[:]) })
	var paths []string
	for i, c := range all {
		if i+1 == len(all) || all[i+1].order[0] != c.order[0] {
			paths = append(paths, c.path)
		}
	}
	return paths, nil
}

// parseCheckpointName reads checkpoint-INDEX-TERM-N.
func parseCheckpointName(name string) (order [3]uint64, ok bool) {
	rest, ok := strings.CutPrefix(name, checkpointName)
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != len(order) {
		return order, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return order, false
		}
		order[i] = n
	}
	return order, true
}
