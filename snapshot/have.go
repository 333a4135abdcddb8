package snapshot

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sort"

	"lockstep/pagetrie"
)

// Have says which pages a replica has, so that a peer sends it only the others: for every page eight bytes of its hash. That
// is a hint and no proof: what is assembled from it is verified against the full hashes.
type Have struct {
	memories map[string]*haveMemory
}

type haveMemory struct {
	ranges []pageRange // none of them zero
	tags   []byte      // tagBytes for each page
}

const (
	haveMagic = "LSHAVE\x00\x01"
	tagBytes  = 8
)

// add names the next page of a memory.
// Preconditions: pages of one memory ascend.
func (m *haveMemory) add(page uint64, hash pagetrie.Hash) {
	if n := len(m.ranges); n > 0 && m.ranges[n-1].end() == page {
		m.ranges[n-1].count++
	} else {
		m.ranges = append(m.ranges, pageRange{first: page, count: 1, position: uint64(len(m.tags) / tagBytes)})
	}
	m.tags = append(m.tags, hash[:tagBytes]...)
}

// has reports whether the replica says that it has a page with that hash.
func (m *haveMemory) has(page uint64, hash pagetrie.Hash) bool {
	i := searchRange(m.ranges, page)
	if i == len(m.ranges) || page < m.ranges[i].first {
		return false
	}
	at := (m.ranges[i].position + page - m.ranges[i].first) * tagBytes
	return string(m.tags[at:at+tagBytes]) == string(hash[:tagBytes])
}

// searchRange finds the first range that ends above a page.
func searchRange(ranges []pageRange, page uint64) int {
	return sort.Search(len(ranges), func(i int) bool { return ranges[i].end() > page })
}

// bytes is the length of the encoded description.
func (h *Have) bytes() int64 {
	n := int64(len(haveMagic) + 4)
	for name, m := range h.memories {
		n += int64(2 + len(name) + 4 + 16*len(m.ranges) + len(m.tags))
	}
	return n
}

// Encode gives the description: magic (8), memories (4), and for each of them, by name, the length of its name (2), the name, the
// number of ranges (4), the ranges with first page (8) and count (8), and the tags.
func (h *Have) Encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, h.bytes()), haveMagic...)
	b = le.AppendUint32(b, uint32(len(h.memories)))
	for _, name := range slices.Sorted(maps.Keys(h.memories)) {
		m := h.memories[name]
		b = appendString(b, name)
		b = le.AppendUint32(b, uint32(len(m.ranges)))
		for _, r := range m.ranges {
			b = le.AppendUint64(b, r.first)
			b = le.AppendUint64(b, r.count)
		}
		b = append(b, m.tags...)
	}
	return b
}

// DecodeHave reads a description. It comes from a peer: its lengths are bounded by its own, and a wrong one costs the peer bytes
// that it did not want or an assembly that fails, nothing else.
func DecodeHave(b []byte) (*Have, error) {
	h, fault := decodeHave(b)
	if fault != nil {
		return nil, fmt.Errorf("description of pages: %w", fault)
	}
	return h, nil
}

func decodeHave(b []byte) (*Have, *decodeError) {
	c := &cursor{b: b}
	if string(c.take(8)) != haveMagic {
		c.fail(0, "wrong magic")
	}
	h := &Have{memories: map[string]*haveMemory{}}
	last := ""
	for range c.count(MaxMemories, 7, "memories") {
		name := string(c.take(int(c.u16())))
		if c.err == nil && (name <= last || len(name) > MaxNameBytes) {
			c.fail(c.off-len(name), "memory %.64q is out of order or has a bad name", name)
		}
		m := c.haveMemory()
		if c.err != nil {
			return nil, c.err
		}
		h.memories[name], last = m, name
	}
	if c.err == nil && c.off != len(b) {
		c.fail(c.off, "%d bytes follow the last memory", len(b)-c.off)
	}
	if c.err != nil {
		return nil, c.err
	}
	return h, nil
}

func (c *cursor) haveMemory() *haveMemory {
	m := &haveMemory{}
	var end, pages uint64
	for i := range c.count(MaxMemoryPages, 16, "ranges") {
		r := pageRange{first: c.u64(), count: c.u64(), position: pages}
		if c.err == nil && (r.count == 0 || i > 0 && r.first <= end || r.first > MaxMemoryPages || r.count > MaxMemoryPages || r.end() > MaxMemoryPages) {
			c.fail(c.off-16, "range of %d pages from %d is out of order or bounds", r.count, r.first)
		}
		if c.err != nil {
			return nil
		}
		end, pages = r.end(), pages+r.count
		m.ranges = append(m.ranges, r)
	}
	m.tags = c.take(int(pages * tagBytes))
	return m
}
