package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/node/link"
	"lockstep/snapshot"
)

// importedTerm is the term of a checkpoint that a cluster begins with.
const importedTerm = 1

// Founding says whose data folder Import makes.
type Founding struct {
	// DataDir is a folder that does not exist, or is empty.
	DataDir string
	// ClusterID is the name of the new cluster. One that still has replicas elsewhere should not be given again.
	ClusterID string
	// ID is this replica, Members are the names of all, in any order.
	ID      string
	Members []string
}

func (f *Founding) validate() error {
	var errs []error
	for _, name := range append([]string{f.ClusterID}, f.Members...) {
		errs = append(errs, link.ValidateID(name))
	}
	if !slices.Contains(f.Members, f.ID) || f.ID == "" {
		errs = append(errs, fmt.Errorf("replica %q is none of the members %q", f.ID, f.Members))
	}
	sorted := slices.Sorted(slices.Values(f.Members))
	if len(slices.Compact(sorted)) != len(f.Members) {
		errs = append(errs, fmt.Errorf("a member is named twice: %q", f.Members))
	}
	entries, err := os.ReadDir(f.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		errs = append(errs, err)
	case len(entries) > 0:
		errs = append(errs, &DataDirError{f.DataDir, fmt.Sprintf("holds %s: name a new or an empty one", entries[0].Name())})
	}
	return errors.Join(errs...)
}

// Import makes a replica's data folder that begins with a checkpoint from anywhere, every byte of which is verified: how a cluster
// is rebuilt from one folder, on as many replicas as are wanted, or a state is carried to another cluster. Each replica of the new
// cluster must begin with the same checkpoint and the same members. Files are copied. The folder
// appears when it is complete, and the replica that is started with it votes from the beginning.
func Import(f Founding, checkpoint string) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("import checkpoint %s: %w", checkpoint, err)
	}
	dir, err := filepath.Abs(f.DataDir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("import checkpoint: %w", err)
	}
	made, err := os.MkdirTemp(parent, filepath.Base(dir)+".importing-")
	if err != nil {
		return fmt.Errorf("import checkpoint: %w", err)
	}
	err = errors.Join(os.Chmod(made, 0o755), f.fill(made, checkpoint))
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(made))
	}
	return syncDir(parent)
}

// fill puts the checkpoint and the replica's identity into a folder.
func (f *Founding) fill(dir, checkpoint string) error {
	c, err := snapshot.OpenDir(checkpoint)
	if err != nil {
		return fmt.Errorf("import checkpoint: %w", err)
	}
	at := raft.SnapshotMeta{Index: c.Index, Term: importedTerm, ConfigurationIndex: 1}
	if err := c.Close(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(slices.Values(f.Members)) {
		at.Configuration.Servers = append(at.Configuration.Servers,
			raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	store, err := snapshot.OpenStore(snapshot.Config{Dir: filepath.Join(dir, checkpointsDir), Cluster: f.ClusterID, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return err
	}
	_, err = store.Import(checkpoint, at)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	text, err := json.Marshal(identity{Format: dataFormat, Cluster: f.ClusterID, Node: f.ID})
	if err != nil {
		return err
	}
	return writeFileSynced(filepath.Join(dir, identityFile), append(text, '\n'))
}
