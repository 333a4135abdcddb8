package drill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lockstep/chaos"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// clusterLoss loses all folders but one checkpoint, and rebuilds on two replicas more; then all of those, and rebuilds on one.
func clusterLoss(r *rig) error {
	for _, next := range []int{min(len(r.members())+2, chaos.MaxNodes), 1} {
		exported, err := r.export()
		if err != nil {
			return err
		}
		for _, i := range r.all() {
			if err := os.RemoveAll(r.dir(i)); err != nil {
				return err
			}
		}
		r.fact("%d replicas were lost, %s is left", len(r.members()), filepath.Base(exported))
		if err := r.rebuild(exported, newNames(next)); err != nil {
			return err
		}
		if err := r.work(20); err != nil {
			return err
		}
		if err := r.agree(); err != nil {
			return err
		}
	}
	return nil
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

// export stops the cluster, proves what it did, copies the newest checkpoint of the archive out of it and verifies the copy.
func (r *rig) export() (string, error) {
	if err := r.prove(); err != nil {
		return "", err
	}
	r.fact("%s", r.result.Compared)
	paths, err := replay.ListCheckpoints(r.dir(archive, "checkpoints"))
	if err != nil || len(paths) == 0 {
		return "", errors.Join(err, undecided("%s has no checkpoint to export", r.members()[archive].ID))
	}
	r.exports++
	newest := paths[len(paths)-1]
	to := filepath.Join(r.folder.Path, fmt.Sprintf("exported-%d", r.exports), filepath.Base(newest))
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
	r.fact("every byte of %s, of round %d, is as the replicas' root of that round says", filepath.Base(to), round)
	return to, nil
}

// rebuild begins a new cluster from a checkpoint, as `cluster import` does.
func (r *rig) rebuild(exported string, names []string) error {
	if err := r.found(names); err != nil {
		return err
	}
	c, err := snapshot.OpenDir(exported)
	if err != nil {
		return err
	}
	round, root := fsm.RoundNumber(c.Round), c.Root
	if err := c.Close(); err != nil {
		return err
	}
	for i, name := range names {
		if err := os.RemoveAll(r.dir(i)); err != nil {
			return err
		}
		founding := node.Founding{DataDir: r.dir(i), ClusterID: r.folder.Manifest.ClusterID, ID: name, Members: names}
		if err := node.Import(founding, exported); err != nil {
			return err
		}
	}
	// What came after the checkpoint is gone; other rounds take those numbers now.
	r.roots, r.newest, r.origin, r.result.Compared = map[fsm.RoundNumber]pagetrie.Hash{round: root}, round, exported, Comparison{}
	if err := r.start(r.all()...); err != nil {
		return err
	}
	if err := r.agree(); err != nil {
		return err
	}
	r.fact("%d replicas began from it, all at round %d with root %.12s…", len(names), r.result.Compared.Round, r.result.Compared.Root)
	return nil
}
