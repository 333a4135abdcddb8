package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The layout of a data folder:
//
//	node.json     who the folder belongs to (identity), written once
//	lock          flock(2) held while a process uses the folder
//	joining       there until the replica of a new folder has caught up (joiner); not empty after a log was set aside
//	raft.db       log, term and vote (raft-boltdb), with a checksum in each entry and value (CheckedLog, CheckedStable)
//	checkpoints/  snapshot.Store
//	modules/      compiled modules (canister.Engine), may be deleted
//	set-aside/    log and checkpoints that did not join, kept as evidence (folderGround.SetAside)
//	evidence/     round-N/report.json for each divergence that was found
const (
	identityFile   = "node.json"
	lockFile       = "lock"
	raftFile       = "raft.db"
	checkpointsDir = "checkpoints"
	modulesDir     = "modules"
	evidenceDir    = "evidence"
	joiningFile    = "joining"
	setAsideDir    = "set-aside"

	// joiningStrictly is what joiningFile holds after a log was set aside.
	joiningStrictly = "set aside\n"

	// dataFormat is 3 since the term and the vote have checksums, as the log's entries have since 2.
	dataFormat = 3
)

// identity is node.json.
type identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
}

// DataDirError reports a data folder that this node must not use.
type DataDirError struct {
	Dir    string
	Reason string
}

func (e *DataDirError) Error() string { return fmt.Sprintf("data folder %s %s", e.Dir, e.Reason) }

// dataDir is a data folder that this process has locked.
type dataDir struct {
	path string
	lock *os.File
}

// errLocked is what lockFolder finds: another process uses the folder.
var errLocked = errors.New("the folder is locked")

// openDataDir locks the folder and checks that it belongs to this node, or makes it this node's.
func openDataDir(path string, want identity) (*dataDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("create data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	d := &dataDir{path: abs, lock: lock}
	if err := d.claim(want); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

func (d *dataDir) claim(want identity) error {
	err := lockFolder(d.lock)
	if err == errLocked {
		return &DataDirError{d.path, "is in use by another process: stop that node, or name another folder"}
	}
	if err != nil {
		return fmt.Errorf("lock data folder %s: %w", d.path, err)
	}
	text, err := os.ReadFile(d.file(identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return d.found(want)
	}
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	return d.compare(text, want)
}

// found makes an empty folder this node's.
func (d *dataDir) found(want identity) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case lockFile, joiningFile, joiningFile + ".new", identityFile + ".new":
		default:
			return &DataDirError{d.path, fmt.Sprintf("holds %s and no %s: it is no node's folder; name an empty one", e.Name(), identityFile)}
		}
	}
	if err := writeFileSynced(d.file(joiningFile), nil); err != nil {
		return err
	}
	text, err := json.Marshal(want)
	if err != nil {
		return err
	}
	return writeFileSynced(d.file(identityFile), append(text, '\n'))
}

func (d *dataDir) compare(text []byte, want identity) error {
	var have identity
	if err := json.Unmarshal(text, &have); err != nil {
		return &DataDirError{d.path, fmt.Sprintf("has a damaged %s (%v): restore that file or start with an empty folder", identityFile, err)}
	}
	switch {
	case have.Format != want.Format:
		return &DataDirError{d.path, fmt.Sprintf("has format %d, this program reads format %d: use the program that made it, or import one of its checkpoints into a new folder",
			have.Format, want.Format)}
	case have.Cluster != want.Cluster:
		return &DataDirError{d.path, fmt.Sprintf("belongs to cluster %q, this node is of cluster %q: name another folder", have.Cluster, want.Cluster)}
	case have.Node != want.Node:
		return &DataDirError{d.path, fmt.Sprintf("belongs to node %q, this is node %q: name another folder", have.Node, want.Node)}
	}
	return nil
}

func (d *dataDir) file(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// Joining implements Marker: a file is there as long as the replica of a new folder is joining.
func (d *dataDir) Joining() (bool, error) {
	_, err := os.Stat(d.file(joiningFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for %s: %w", joiningFile, err)
	}
	return err == nil, nil
}

// Strictly implements strictMarker.
func (d *dataDir) Strictly() (bool, error) {
	text, err := os.ReadFile(d.file(joiningFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read %s: %w", joiningFile, err)
	}
	return len(text) > 0, nil
}

// Joined implements Marker.
func (d *dataDir) Joined() error {
	if err := os.Remove(d.file(joiningFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// String implements Marker.
func (d *dataDir) String() string { return d.file(joiningFile) }

// close unlocks the folder.
func (d *dataDir) close() error { return d.lock.Close() }

// writeFileSynced makes a file appear under its name only when it is whole and on disk.
func writeFileSynced(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
