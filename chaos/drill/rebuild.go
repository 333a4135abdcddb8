package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"

	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// clusterLoss loses all folders but one checkpoint, and rebuilds on two replicas more.
func clusterLoss(r *rig) error {
	exported, err := r.export()
	if err != nil {
		return err
	}
	n := len(r.members())
	for _, i := range r.all() {
		if err := os.RemoveAll(r.dir(i)); err != nil {
			return err
		}
	}
	r.fact("%d replicas were lost, %s is left", n, filepath.Base(exported))
	return r.rebuild(exported, newNames(min(n+2, 9)))
}

// carry begins another cluster from a checkpoint of this one, which stays as it is.
func carry(r *rig) error {
	exported, err := r.export()
	if err != nil {
		return err
	}
	var names []string
	for i := range r.members() {
		names = append(names, fmt.Sprintf("carried-%d", i+1))
	}
	return r.rebuild(exported, names)
}

// export stops the cluster, copies the newest checkpoint of the archive out of it and verifies the copy.
func (r *rig) export() (string, error) {
	if err := r.end(syscall.SIGTERM, r.all()...); err != nil {
		return "", err
	}
	paths, err := replay.ListCheckpoints(r.dir(archive, "checkpoints"))
	if err != nil || len(paths) == 0 {
		return "", errors.Join(err, undecided("%s has no checkpoint to export", r.members()[archive].ID))
	}
	newest := paths[len(paths)-1]
	to := filepath.Join(r.folder.Path, "exported", filepath.Base(newest))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	if err := copyFolder(newest, to); err != nil {
		return "", err
	}
	report, err := snapshot.Verify(to, fsm.Hashing())
	if err != nil {
		return "", err
	}
	round := fsm.RoundNumber(report.Round)
	if known, ok := r.roots[round]; ok && known != report.Root {
		return "", violation("the exported checkpoint of round %d has root %s, the replicas had %s", round, report.Root, known)
	}
	return to, nil
}

// rebuild begins a new cluster from a checkpoint: every replica imports it at the same log entry, with the same members.
func (r *rig) rebuild(exported string, names []string) error {
	if err := r.found(names); err != nil {
		return err
	}
	c, err := snapshot.OpenDir(exported)
	if err != nil {
		return err
	}
	round, root, index := fsm.RoundNumber(c.Round), c.Root, c.Index
	if err := c.Close(); err != nil {
		return err
	}
	meta := raft.SnapshotMeta{Index: index, Term: 1, ConfigurationIndex: 1}
	for _, m := range r.members() {
		meta.Configuration.Servers = append(meta.Configuration.Servers,
			raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.ID)})
	}
	for i := range r.members() {
		if err := r.importInto(i, exported, meta); err != nil {
			return err
		}
	}
	// What came after the checkpoint is gone; other rounds take those numbers now.
	r.roots, r.newest, r.origin = map[fsm.RoundNumber]pagetrie.Hash{round: root}, round, exported
	if err := r.start(r.all()...); err != nil {
		return err
	}
	r.fact("%d replicas begin from round %d", len(names), round)
	return r.agree()
}

// importInto makes a replica's folder that begins with a checkpoint. Its node.json is written as package node does, so that the
// folder is not a new one, which would not vote.
func (r *rig) importInto(i int, exported string, meta raft.SnapshotMeta) error {
	dir := r.dir(i)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	identity, err := json.Marshal(map[string]any{"format": 1, "cluster": r.folder.Manifest.ClusterID, "node": r.members()[i].ID})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "node.json"), append(identity, '\n'), 0o644); err != nil {
		return err
	}
	store, err := snapshot.OpenStore(snapshot.Config{Dir: filepath.Join(dir, "checkpoints"), Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return err
	}
	_, err = store.Import(exported, meta)
	return errors.Join(err, store.Close())
}
