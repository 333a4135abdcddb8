package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// corruptCheckpoints damages the newest checkpoint of replicas. A file is damaged in a copy that takes its place: what is mapped
// already stays whole, as the pages do that a kernel holds.
func (c *cluster) corruptCheckpoints(f *plan.Fault, nodes []int, number int) *running {
	var hits uint64
	for _, n := range nodes {
		m := c.members[n-1]
		m.mu.Lock()
		files := m.device.files
		m.mu.Unlock()
		if files == nil {
			continue
		}
		release, ok := c.mayHarm(n)
		if !ok {
			continue
		}
		var index uint64
		var file, what string
		m.dice.with(func(r *randomSource) { index, file, what = files.damageNewest(f.Variant(), r) })
		if index != 0 {
			hits++
			if filepath.Ext(file) == ".tree" {
				index = 0 // it is found if it is read, and may never be
			}
			c.record(history.Event{Kind: history.Damaged, Node: uint8(n), Fault: uint32(number), Index: index, Text: what})
		}
		release()
	}
	return &running{end: func() uint64 { return hits }}
}

// damageNewest damages a file of the newest checkpoint and gives the checkpoint's index and the file's name.
func (f *files) damageNewest(mode plan.Mode, r *rand.Rand) (index uint64, name, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := ""
	for name = range f.dirs["."].now {
		var i uint64
		if _, err := fmt.Sscanf(name, "checkpoint-%d-", &i); err == nil && i >= index && strings.HasPrefix(name, "checkpoint-") {
			newest, index = name, i
		}
	}
	d := f.dirs[newest]
	if d == nil {
		return 0, "", ""
	}
	var names []string
	for name := range d.now {
		names = append(names, name)
	}
	slices.Sort(names)
	name = names[r.IntN(len(names))]
	node := d.now[name]
	data, err := os.ReadFile(node.path)
	if err != nil || len(data) == 0 {
		return 0, "", ""
	}
	data, what = damageBytes(data, mode, r)
	if what == "" || f.replaceLocked(node, data) != nil {
		return 0, "", ""
	}
	return index, name, fmt.Sprintf("%s of %s: %s", name, newest, what)
}

// newestCheckpoints gives the index of the newest checkpoint that no fault has damaged, and of the newest that one has: 0 for none.
func (f *files) newestCheckpoints() (sound, damaged uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, node := range f.dirs["."].now {
		var index uint64
		if _, err := fmt.Sscanf(name, "checkpoint-%d-", &index); err != nil || node.folder == nil {
			continue
		}
		if slices.ContainsFunc(slices.Collect(maps.Values(node.folder.now)), func(n *inode) bool { return n.damaged }) {
			damaged = max(damaged, index)
		} else {
			sound = max(sound, index)
		}
	}
	return sound, damaged
}

// restorableLocked reports whether a replica can start from what it has. One whose log does not join on to a sound checkpoint, or reaches
// less far than a damaged one, sets both aside as soon as it finds out, and votes for nobody until it has joined again.
func (m *member) restorableLocked() bool {
	if m.device.files == nil {
		return true
	}
	sound, damaged := m.device.files.newestCheckpoints()
	if damaged == 0 {
		return true
	}
	log := &m.device.image
	if l := m.life; l != nil {
		l.disk.mu.Lock()
		defer l.disk.mu.Unlock()
		log = &l.disk.image
	}
	return log.first <= sound+1 && max(log.last(), sound) >= damaged
}

// replaceLocked gives every name of a file other contents.
func (f *files) replaceLocked(node *inode, data []byte) error {
	f.next++
	home := filepath.Join(f.home, "inodes", fmt.Sprint(f.next))
	if err := os.WriteFile(home, data, 0o644); err != nil {
		return err
	}
	node.path, node.size, node.synced, node.damaged = home, int64(len(data)), int64(len(data)), true
	for dir, d := range f.dirs {
		for name, n := range d.now {
			if n != node {
				continue
			}
			path := filepath.Join(f.tree(), dir, name)
			if err := joinErrors(os.Remove(path), os.Link(home, path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// damageBytes damages a file's contents; "" says that nothing changed.
func damageBytes(data []byte, mode plan.Mode, r *rand.Rand) ([]byte, string) {
	at := r.IntN(len(data))
	switch mode {
	case plan.Truncate:
		return data[:at], fmt.Sprintf("cut at %d", at)
	case plan.Extend:
		return append(data, 1, 2, 3), "three bytes longer"
	case plan.Zero:
		end := min(at+512, len(data))
		if len(strings.Trim(string(data[at:end]), "\x00")) == 0 {
			data[at] ^= 1
			return data, fmt.Sprintf("bit flipped at %d", at)
		}
		clear(data[at:end])
		return data, fmt.Sprintf("zeros from %d to %d", at, end)
	case plan.Swap, plan.Stale:
		if len(data) < 1024 || string(data[:512]) == string(data[512:1024]) {
			break
		}
		first := append([]byte(nil), data[:512]...)
		copy(data, data[512:1024])
		copy(data[512:], first)
		return data, "two sectors swapped"
	}
	data[at] ^= 1 << r.IntN(8)
	return data, fmt.Sprintf("bit flipped at %d", at)
}

// flipEntry flips a bit of one part of a log entry, each as likely as the others, and names the part.
func flipEntry(e *raft.Log, r *rand.Rand) string {
	parts := []string{"index", "term", "type"}
	if len(e.Data) > 0 {
		parts = append(parts, "data")
	}
	if len(e.Extensions) > 0 {
		parts = append(parts, "checksum")
	}
	part := parts[r.IntN(len(parts))]
	switch part {
	case "index":
		e.Index ^= 1 << r.IntN(64)
	case "term":
		e.Term ^= 1 << r.IntN(64)
	case "type":
		e.Type ^= 1 << r.IntN(8)
	case "data":
		e.Data[r.IntN(len(e.Data))] ^= 1 << r.IntN(8)
	case "checksum":
		e.Extensions[r.IntN(len(e.Extensions))] ^= 1 << r.IntN(8)
	}
	return part
}

// mayHarm reports whether a replica may lose what it has. A plan within the budget counts on the quiet windows between its episodes to
// be long enough for repairs: where one was not, the harm is left out. Whoever has done it calls release.
func (c *cluster) mayHarm(n int) (release func(), ok bool) {
	if c.plan.Allow != (plan.Allow{}) {
		return func() {}, true
	}
	return c.dispensable(n, nil)
}

// corruptLogs damages replicas' logs where they lie.
func (c *cluster) corruptLogs(f *plan.Fault, nodes []int, number int) *running {
	var hits uint64
	for _, n := range nodes {
		m := c.members[n-1]
		release, ok := c.mayHarm(n)
		if !ok {
			continue
		}
		m.mu.Lock()
		what := ""
		m.dice.with(func(r *randomSource) {
			if l := m.life; l != nil {
				l.disk.mu.Lock()
				what = l.disk.image.damage(f.Variant(), r)
				l.disk.mu.Unlock()
				return
			}
			what = m.device.image.damage(f.Variant(), r)
		})
		m.device.damagedLog = m.device.damagedLog || what != ""
		m.mu.Unlock()
		if what != "" {
			hits++
			c.record(history.Event{Kind: history.Damaged, Node: uint8(n), Fault: uint32(number), Text: "log: " + what})
		}
		release()
	}
	return &running{end: func() uint64 { return hits }}
}
