package snapshot

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Import takes a checkpoint folder from anywhere, verifies every byte of it, and puts the same state into the store as the
// checkpoint of another log entry and configuration: how a cluster is rebuilt from one folder, on other nodes than before, or a
// state is carried to another cluster, whose name (Config.Cluster) it gets. Only Index, Term, Configuration and ConfigurationIndex of at are used. Every file is copied,
// the layers of a memory into one: replicas that shared files would lose them together.
//
// Every node of the new cluster must import the same folder at the same entry, before its raft is started.
func (s *Store) Import(dir string, at raft.SnapshotMeta) (id string, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	c, err := openFolder(s.fs, dir)
	if err != nil {
		return "", fmt.Errorf("import checkpoint: %w", err)
	}
	defer c.Close()
	if _, err := verify(s.fs, c, s.config.Hashing); err != nil {
		return "", fmt.Errorf("import checkpoint: %w", err)
	}
	m := c.Manifest
	m.Cluster = s.config.Cluster
	m.Index, m.Term, m.Configuration, m.ConfigurationIndex = at.Index, at.Term, at.Configuration.Clone(), at.ConfigurationIndex
	if err := s.admits(&m); err != nil {
		return "", fmt.Errorf("import checkpoint %s: %w", dir, err)
	}
	k, err := s.newSink(m)
	if err != nil {
		return "", err
	}
	if err := k.copyFolder(c, m); err != nil {
		_ = k.fail(err)
	}
	k.written, k.merged = true, true
	return k.ID(), k.Close()
}

// copyFolder fills the sink with the files of another checkpoint.
func (k *Sink) copyFolder(c *Checkpoint, m Manifest) error {
	if err := k.writeFile(tableName, c.Table); err != nil {
		return err
	}
	m.Memories = nil
	for i, mem := range c.Memories {
		e := c.Manifest.Memories[i]
		layers, err := k.mergeLayers(mem, 0)
		if err != nil {
			return err
		}
		e.Layers = layers
		m.Memories = append(m.Memories, e)
	}
	return k.writeManifest(&m)
}
