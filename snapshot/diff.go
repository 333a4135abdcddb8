package snapshot

import (
	"bytes"
	"iter"
)

// Difference is how two checkpoints differ. It is found from hashes; pages are read only by MemoryDifference.Bytes.
type Difference struct {
	A, B     *Checkpoint
	Table    []ByteRange        // differing ranges of the tables
	Memories []MemoryDifference // only those that differ, ascending by name
}

// MemoryDifference is how a memory differs.
type MemoryDifference struct {
	Name  string
	A, B  *MemoryFile // nil: that checkpoint has no such memory
	Pages []uint64    // that differ, ascending
}

// ByteRange is a run of bytes that differ. A or B is shorter than the other where one side ends.
type ByteRange struct {
	Offset uint64
	A, B   []byte
}

// Diff compares two checkpoints. Memories with equal roots and sizes are not looked into. The checkpoints must stay open
// while the difference is used.
func Diff(a, b *Checkpoint) Difference {
	d := Difference{A: a, B: b, Table: DiffBytes(a.Table, b.Table)}
	i, j := 0, 0
	for i < len(a.Memories) || j < len(b.Memories) {
		m := MemoryDifference{}
		if i < len(a.Memories) && (j == len(b.Memories) || a.Memories[i].Name <= b.Memories[j].Name) {
			m.A, m.Name = a.Memories[i], a.Memories[i].Name
		}
		if j < len(b.Memories) && (m.A == nil || b.Memories[j].Name == m.Name) {
			m.B, m.Name = b.Memories[j], b.Memories[j].Name
		}
		if m.A != nil {
			i++
		}
		if m.B != nil {
			j++
		}
		if m.A != nil && m.B != nil && m.A.Root == m.B.Root && m.A.Size == m.B.Size {
			continue
		}
		m.Pages = differingPages(m.A, m.B)
		d.Memories = append(d.Memories, m)
	}
	return d
}

// Equal reports whether nothing differs.
func (d Difference) Equal() bool { return len(d.Table) == 0 && len(d.Memories) == 0 }

func differingPages(a, b *MemoryFile) (pages []uint64) {
	nextA, stopA := pull(a)
	defer stopA()
	nextB, stopB := pull(b)
	defer stopB()
	pa, ra, moreA := nextA()
	pb, rb, moreB := nextB()
	for moreA || moreB {
		inA := moreA && (!moreB || pa <= pb)
		inB := moreB && (!moreA || pb <= pa)
		switch {
		case inA && inB && a.Hash(ra) == b.Hash(rb):
		case inA:
			pages = append(pages, pa)
		default:
			pages = append(pages, pb)
		}
		if inA {
			pa, ra, moreA = nextA()
		}
		if inB {
			pb, rb, moreB = nextB()
		}
	}
	return pages
}

// pull yields the pages of a memory that may be missing.
func pull(m *MemoryFile) (next func() (uint64, PageRef, bool), stop func()) {
	if m == nil {
		m = &MemoryFile{}
	}
	return iter.Pull2(m.Pages())
}

// Bytes reads a page of both sides and returns the ranges that differ, with offsets within the page.
func (m MemoryDifference) Bytes(page uint64) ([]ByteRange, error) {
	a, err := m.A.readPage(page)
	if err != nil {
		return nil, err
	}
	b, err := m.B.readPage(page)
	if err != nil {
		return nil, err
	}
	return DiffBytes(a, b), nil
}

// readPage returns the contents of any page, zeros where nothing is stored.
func (m *MemoryFile) readPage(page uint64) ([]byte, error) {
	buf := make([]byte, PageSize)
	if m == nil {
		return buf, nil
	}
	ref, ok := m.Find(page)
	if !ok {
		return buf, nil
	}
	return buf, m.ReadPage(ref, buf)
}

// DiffBytes returns the ranges in which two byte strings differ. Ranges less than eight bytes apart are joined: people read
// them, and values lie together.
func DiffBytes(a, b []byte) (ranges []ByteRange) {
	const join = 8
	if bytes.Equal(a, b) {
		return nil
	}
	at := func(s []byte, i int) int {
		if i < len(s) {
			return int(s[i])
		}
		return -1
	}
	start, end := -1, -1
	flush := func() {
		if start >= 0 {
			ranges = append(ranges, ByteRange{uint64(start), clip(a, start, end), clip(b, start, end)})
		}
	}
	for i := range max(len(a), len(b)) {
		if at(a, i) == at(b, i) {
			continue
		}
		if start < 0 || i-end >= join {
			flush()
			start = i
		}
		end = i + 1
	}
	flush()
	return ranges
}

func clip(s []byte, lo, hi int) []byte { return s[min(lo, len(s)):min(hi, len(s))] }
