package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"lockstep/chaos/plan"
)

// after makes a new folder of what a crash leaves, and says how much it lost and how much it kept in part.
func (f *files) after(home string, power plan.Power, r *rand.Rand) (left *files, lost, torn int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left, err = newFiles(home, f.faults, nil)
	if err != nil {
		return nil, 0, 0, err
	}
	c := &cloning{to: left, power: power, rng: r, done: map[*inode]*inode{}}
	left.dirs["."], err = c.folder(f.dirs["."], ".")
	return left, c.lost, c.torn, err
}

// cloning carries what survives into a new folder.
type cloning struct {
	to         *files
	power      plan.Power
	rng        *rand.Rand
	done       map[*inode]*inode
	lost, torn int
}

func (c *cloning) folder(d *folder, path string) (*folder, error) {
	names := map[string]*inode{}
	for name, node := range d.now {
		names[name] = node
	}
	keep := len(d.pending)
	switch c.power {
	case plan.Lost:
		keep = 0
	case plan.Torn:
		keep = c.rng.IntN(len(d.pending) + 1)
	}
	for _, undone := range slices.Backward(d.pending[keep:]) {
		if c.lost++; undone.before == nil {
			delete(names, undone.name)
		} else {
			names[undone.name] = undone.before
		}
	}
	out := &folder{now: map[string]*inode{}}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // the random choices are drawn in this order
	for _, name := range sorted {
		node, err := c.node(names[name], filepath.Join(path, name))
		if err != nil {
			return nil, err
		}
		out.now[name] = node
		node.refs++
	}
	return out, nil
}

func (c *cloning) node(node *inode, path string) (*inode, error) {
	real := filepath.Join(c.to.tree(), path)
	if node.folder != nil {
		if err := os.Mkdir(real, 0o755); err != nil {
			return nil, err
		}
		d, err := c.folder(node.folder, path)
		if err != nil {
			return nil, err
		}
		c.to.dirs[path] = d
		return &inode{folder: d}, nil
	}
	made := c.done[node]
	if made == nil {
		var err error
		if made, err = c.file(node); err != nil {
			return nil, err
		}
		c.done[node] = made
	}
	return made, os.Link(made.path, real)
}

// file carries a file over: as it is if it was synced, otherwise as the crash leaves it.
func (c *cloning) file(node *inode) (*inode, error) {
	c.to.next++
	made := &inode{path: filepath.Join(c.to.home, "inodes", fmt.Sprint(c.to.next)), synced: node.size, size: node.size,
		damaged: node.damaged}
	if node.synced == node.size {
		return made, os.Link(node.path, made.path)
	}
	data, err := os.ReadFile(node.path)
	if err != nil {
		return nil, err
	}
	switch c.power {
	case plan.Lost:
		c.lost++
		data = data[:min(node.synced, int64(len(data)))]
	case plan.Torn:
		c.torn++
		data = tear(data, node.synced, c.rng)
	}
	made.synced, made.size = int64(len(data)), int64(len(data))
	return made, os.WriteFile(made.path, data, 0o644)
}

// tear keeps some sectors of what was not synced.
func tear(data []byte, synced int64, r *rand.Rand) []byte {
	const sector = 512
	for at := synced; at < int64(len(data)); at += sector {
		if r.IntN(2) == 0 {
			clear(data[at:min(at+sector, int64(len(data)))])
		}
	}
	if r.IntN(2) == 0 {
		data = data[:synced+r.Int64N(int64(len(data))-synced+1)]
	}
	return data
}
