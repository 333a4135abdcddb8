package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A delta is a checkpoint as a stream that leaves out the pages that the receiver has:
//
//	offset  size  field               meaning
//	0       8     magic               "LSDELTA\x01"
//	8       8     length              of everything behind this field
//	16      4     manifest length     1 to MaxManifestBytes
//	20            manifest            as in a stream: one layer for each memory
//	              table
//	              memories            in the order of the manifest
//
// A memory: length of its index (8), index as in a page file, the pages it stores. The index names the pages that the receiver
// lacks and, as zero, those that it has too many.
const (
	deltaMagic     = "LSDELTA\x01"
	deltaHeadBytes = 20
)

// DeltaReport says what a delta is made of.
type DeltaReport struct {
	Bytes uint64 // to send
	Pages uint64 // to send
	Known uint64 // pages that the receiver has
}

// WriteDelta sends the checkpoint to a peer that has some of its pages. Every page is verified as it leaves; damage is an
// error that matches IsDamage, and sets the checkpoint aside. sized, if not nil, is told what will be sent before anything is.
func (r *Reader) WriteDelta(w io.Writer, have *Have, sized func(DeltaReport)) (DeltaReport, error) {
	report, err := writeDelta(w, r.checkpoint, have, r.store.config.Hashing, sized)
	if err != nil {
		err = r.store.blame(r.checkpoint.ID, err)
	}
	return report, err
}

func writeDelta(w io.Writer, c *Checkpoint, have *Have, h Hashing, sized func(DeltaReport)) (DeltaReport, error) {
	if err := c.load(); err != nil {
		return DeltaReport{}, fmt.Errorf("send checkpoint %s: %w", c.ID, err)
	}
	manifest := c.flatManifest(func(m *MemoryFile) FileEntry {
		x := m.flatIndex()
		return x.entry(x.encode(), c.Index)
	}).encode()
	r := DeltaReport{Bytes: uint64(deltaHeadBytes+len(manifest)) + c.TableBytes}
	var parts []io.Reader
	for _, m := range c.Memories {
		index, extents := m.missing(have.memories[m.Name])
		b := index.encode()
		head := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
		parts = append(parts, bytes.NewReader(head), bytes.NewReader(b), &pagesReader{memory: m, hash: h.Page, left: extents})
		r.Bytes += uint64(len(head)+len(b)) + index.pages*PageSize
		r.Pages += index.pages
		r.Known += m.Len() - index.pages
	}
	head := append(make([]byte, 0, deltaHeadBytes), deltaMagic...)
	head = binary.LittleEndian.AppendUint64(head, r.Bytes-16)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(manifest)))
	parts = append([]io.Reader{bytes.NewReader(head), bytes.NewReader(manifest), bytes.NewReader(c.Table)}, parts...)
	if sized != nil {
		sized(r)
	}
	if n, err := io.Copy(w, io.MultiReader(parts...)); err != nil {
		return r, fmt.Errorf("send checkpoint %s, %d bytes sent: %w", c.ID, n, err)
	}
	return r, nil
}

// missing is the index of what a peer lacks, and where its pages come from.
func (m *MemoryFile) missing(have *haveMemory) (*pageIndex, []extent) {
	if have == nil {
		have = &haveMemory{}
	}
	x := &pageIndex{}
	var extents []extent
	next := uint64(0) // pages below are dealt with
	for page, ref := range m.Pages() {
		have.surplus(x, next, page)
		next = page + 1
		hash := m.Hash(ref)
		if have.has(page, hash) {
			continue
		}
		_ = x.add(page, &hash) // pages ascend
		if n := len(extents); n > 0 && extents[n-1].layer == ref.Layer && extents[n-1].end() == page && extents[n-1].position+extents[n-1].count == ref.Position {
			extents[n-1].count++
		} else {
			extents = append(extents, extent{first: page, count: 1, layer: ref.Layer, position: ref.Position})
		}
	}
	have.surplus(x, next, MaxMemoryPages)
	return x, extents
}

// surplus declares zero what the peer has of lo <= page < hi.
func (m *haveMemory) surplus(x *pageIndex, lo, hi uint64) {
	if lo == hi {
		return
	}
	for i := searchRange(m.ranges, lo); i < len(m.ranges) && m.ranges[i].first < hi; i++ {
		for page := max(lo, m.ranges[i].first); page < min(hi, m.ranges[i].end()); page++ {
			_ = x.add(page, nil) // pages ascend
		}
	}
}
