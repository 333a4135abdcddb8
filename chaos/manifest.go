package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Manifest is the contents of cluster.json: what must stay the same for as long as the folder is used.
type Manifest struct {
	// Format is the version of the folder's layout.
	Format int `json:"format"`
	// ClusterID keeps replicas of different clusters apart.
	ClusterID string   `json:"cluster_id"`
	Nodes     []Member `json:"nodes"`
}

// Member is one replica of a cluster: its name and where it listens (host:port).
type Member struct {
	ID   string `json:"id"`
	Raft string `json:"raft"`
	HTTP string `json:"http"`
}

// Validate reports everything about the manifest that makes it unusable.
func (m Manifest) Validate() error {
	var errs []error
	if m.Format != manifestFormat {
		return fmt.Errorf("layout version is %d, this program knows version %d", m.Format, manifestFormat)
	}
	if m.ClusterID == "" {
		errs = append(errs, errors.New("cluster_id is empty"))
	}
	if len(m.Nodes) < 1 || len(m.Nodes) > MaxReplicas {
		errs = append(errs, fmt.Errorf("it lists %d nodes, 1 to %d are possible", len(m.Nodes), MaxReplicas))
	}
	seen := map[string]bool{}
	for _, n := range m.Nodes {
		if n.ID == "" || n.ID != filepath.Base(n.ID) || n.ID == logsName || strings.HasPrefix(n.ID, ".") {
			errs = append(errs, fmt.Errorf("node name %q cannot be the name of a folder", n.ID))
		}
		for _, s := range []string{n.ID, n.Raft, n.HTTP} {
			if s == "" || seen[s] {
				errs = append(errs, fmt.Errorf("node %q: %q is empty or used twice", n.ID, s))
			}
			seen[s] = true
		}
	}
	return errors.Join(errs...)
}

// readManifest reads and checks a cluster.json.
func readManifest(path string) (*Manifest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxManifestSize {
		return nil, fmt.Errorf("%s is %d bytes long: it is damaged", manifestName, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("%s is damaged or not ours: %w", manifestName, err)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", manifestName, err)
	}
	return m, nil
}

// SetManifest makes the folder that of a cluster: after it returns nil, cluster.json is on disk.
func (f *Folder) SetManifest(m Manifest) error {
	if err := m.Validate(); err != nil {
		return fmt.Errorf("%w %s: %w", ErrFolder, f.name, err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = writeFileSync(filepath.Join(f.Path, manifestName), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrFolder, f.name, err)
	}
	f.Manifest = &m
	return nil
}

// writeFileSync replaces a file so that a crash leaves the old or the new one.
func writeFileSync(path string, data []byte) error {
	tmp, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
