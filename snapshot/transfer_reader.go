package snapshot

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// deltaReader reads the parts of a delta and knows where it is.
type deltaReader struct {
	r        io.Reader
	offset   int64
	total    uint64
	pages    uint64
	part     string
	progress func(Progress)
}

func (d *deltaReader) fault(format string, args ...any) error {
	return &StreamFault{Offset: d.offset, Part: d.part, Fault: fmt.Sprintf(format, args...)}
}

// bytes reads n bytes. Space is taken as they arrive, not as they are announced.
func (d *deltaReader) bytes(n uint64, part string) ([]byte, error) {
	d.part = part
	var b []byte
	for uint64(len(b)) < n {
		piece := int(min(n-uint64(len(b)), batchPages*PageSize))
		b = slices.Grow(b, piece)
		got, err := io.ReadFull(d.r, b[len(b):len(b)+piece])
		b = b[:len(b)+got]
		d.offset += int64(got)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, d.fault("the stream ends early")
		}
		if err != nil {
			return nil, fmt.Errorf("receive %s at offset %d: %w", part, d.offset, err)
		}
	}
	d.tell()
	return b, nil
}

func (d *deltaReader) tell() {
	if d.progress != nil {
		d.progress(Progress{Bytes: uint64(d.offset), Total: d.total, Pages: d.pages})
	}
}

func (d *deltaReader) manifest() (*Manifest, error) {
	head, err := d.bytes(deltaHeadBytes, "header")
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[16:])
	if string(head[:8]) != deltaMagic || n == 0 || n > MaxManifestBytes {
		return nil, d.fault("this is no checkpoint delta (wrong magic or length)")
	}
	d.total = binary.LittleEndian.Uint64(head[8:]) + 16
	b, err := d.bytes(uint64(n), "manifest")
	if err != nil {
		return nil, err
	}
	m, fault := decodeManifest(b)
	if fault != nil {
		return nil, d.fault("%v", fault)
	}
	return m, nil
}

// index reads what the peer sends of a memory of which known pages are here. It names at most all pages that the memory shall
// have, and as zero at most those that are here.
func (d *deltaReader) index(e MemoryEntry, known uint64) (*pageIndex, error) {
	b, err := d.bytes(8, fmt.Sprintf("page index of memory %q", e.Name))
	if err != nil {
		return nil, err
	}
	n, pages := binary.LittleEndian.Uint64(b), uint64(0)
	for _, l := range e.Layers {
		pages += l.Pages
	}
	if most := footerBytes + pages*(hashBytes+rangeBytes) + known*rangeBytes; n > most {
		return nil, d.fault("index of %d bytes, at most %d are possible for %d pages", n, most, pages)
	}
	if b, err = d.bytes(n, d.part); err != nil {
		return nil, err
	}
	x, fault := decodePageIndex(b)
	if fault != nil {
		return nil, d.fault("%v", fault)
	}
	return x, nil
}

// matches holds what will be assembled against the manifest.
func (d *deltaReader) matches(m *MemoryFile, e MemoryEntry) error {
	digest := Digest{}
	if len(m.extents) > 0 {
		digest = indexDigest(m.flatIndex().encode())
	}
	want := Digest{}
	if len(e.Layers) > 0 {
		want = e.Layers[0].Digest
	}
	if digest != want || len(e.Layers) > 1 {
		return d.fault("what is here and what is sent do not make the announced memory; ask for all of it")
	}
	return nil
}
