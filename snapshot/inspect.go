package snapshot

import "lockstep/pagetrie"

// Info says what is in a checkpoint, for people.
type Info struct {
	ID                 string
	Index, Term, Round uint64
	Root               pagetrie.Hash
	Servers            int
	TableBytes         uint64
	Bytes              uint64 // of all files in the folder, those shared with other checkpoints included
	StreamBytes        int64  // that a peer without anything would be sent
	Memories           []MemoryInfo
}

// MemoryInfo says what is stored for a memory.
type MemoryInfo struct {
	Name   string
	Size   uint64 // pages
	Pages  uint64 // not zero
	Root   pagetrie.Hash
	Layers []LayerInfo // oldest first
}

// LayerInfo says what a page file holds.
type LayerInfo struct {
	Name    string
	Pages   uint64 // stored
	Visible uint64 // of them not hidden by newer layers
	Zeros   uint64 // pages declared zero
	Bytes   uint64
	Born    uint64 // raft index of the checkpoint that wrote it
}

// Inspect returns what is in the checkpoint. Cost: runs of pages, not pages.
func (c *Checkpoint) Inspect() Info {
	info := Info{
		ID: c.ID, Index: c.Index, Term: c.Term, Round: c.Round, Root: c.Root, Servers: len(c.Configuration.Servers),
		TableBytes: c.TableBytes, Bytes: uint64(len(c.Manifest.encode())) + c.TableBytes, StreamBytes: c.streamBytes(),
	}
	for _, t := range c.Manifest.trees() {
		info.Bytes += t.Length()
	}
	counted := map[Digest]bool{}
	for _, m := range c.Memories {
		mem := MemoryInfo{Name: m.Name, Size: m.Size, Pages: m.Len(), Root: m.Root}
		visible := make([]uint64, len(m.Layers))
		for _, e := range m.extents {
			visible[e.layer] += e.count
		}
		for i, l := range m.Layers {
			mem.Layers = append(mem.Layers, LayerInfo{
				Name: l.Entry.Name(), Pages: l.Len(), Visible: visible[i], Zeros: l.index.zeros, Bytes: l.Entry.Length, Born: l.Entry.Born,
			})
			if !counted[l.Entry.Digest] {
				counted[l.Entry.Digest] = true
				info.Bytes += l.Entry.Length
			}
		}
		info.Memories = append(info.Memories, mem)
	}
	return info
}
