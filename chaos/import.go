package chaos

import (
	"errors"
	"fmt"
	"os"

	"lockstep/node"
)

// ImportCluster makes a cluster's folder, new or empty, of replicas that all begin with a checkpoint: StartCluster goes on from
// there. What was made is removed on an error, and the folder is one of a cluster when it is complete.
func ImportCluster(checkpoint, dir string, nodes int) (members []Member, err error) {
	if nodes < 1 || nodes > MaxNodes {
		return nil, fmt.Errorf("%d nodes: a cluster has 1 to %d", nodes, MaxNodes)
	}
	if HasCluster(dir) {
		return nil, fmt.Errorf("%w %s: it holds a cluster already: name a new or an empty one", ErrFolder, dir)
	}
	_, missing := os.Stat(dir)
	folder, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && errors.Is(missing, os.ErrNotExist) {
			err = errors.Join(err, os.RemoveAll(folder.Path))
		}
		err = errors.Join(err, folder.Close())
	}()
	m := newManifest(nodes)
	return m.Nodes, folder.importNodes(checkpoint, m)
}

// importNodes makes the replicas' folders, and then the manifest.
func (f *Folder) importNodes(checkpoint string, m *Manifest) error {
	addresses, err := pickPorts(2 * len(m.Nodes))
	if err != nil {
		return err
	}
	var names []string
	for i := range m.Nodes {
		m.Nodes[i].Raft, m.Nodes[i].HTTP = addresses[2*i], addresses[2*i+1]
		names = append(names, m.Nodes[i].ID)
	}
	for _, name := range names {
		founding := node.Founding{DataDir: f.DataPath(name), ClusterID: m.ClusterID, ID: name, Members: names}
		if err := node.Import(founding, checkpoint); err != nil {
			for _, made := range names {
				err = errors.Join(err, os.RemoveAll(f.DataPath(made)))
			}
			return err
		}
	}
	return f.SetManifest(*m)
}
