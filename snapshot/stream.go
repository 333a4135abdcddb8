package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"lockstep/pagetrie"

	"github.com/hashicorp/raft"
)

const (
	streamMagic     = "LSSTREAM"
	streamHeadBytes = 16
	// batchPages is how many pages are read, hashed or sent at a time: 1 MiB.
	batchPages = 256
)

// Reader streams a checkpoint to a peer: every memory as one file without what newer layers hide, each page verified as it
// leaves. Behind it stands the folder, see FromReader. One goroutine uses it.
type Reader struct {
	checkpoint *Checkpoint
	store      *Store
	size       int64
	stream     io.Reader // from the first Read on
	taken      bool
	closed     bool
}

// FromReader returns the checkpoint behind a reader that a Store's Open gave, also if raft has wrapped it. Nothing is read.
// The checkpoint is the caller's to close; the reader gives no more bytes.
func FromReader(r io.ReadCloser) (*Checkpoint, error) {
	for {
		switch v := r.(type) {
		case *Reader:
			if v.taken || v.closed {
				return nil, fmt.Errorf("checkpoint %s: the reader is closed or its checkpoint was taken before", v.checkpoint.ID)
			}
			v.taken = true
			return v.checkpoint, nil
		case raft.ReadCloserWrapper:
			r = v.WrappedReadCloser()
		default:
			return nil, ErrForeignReader
		}
	}
}

// Read implements io.Reader. Damage that it meets sets the checkpoint aside.
func (r *Reader) Read(p []byte) (int, error) {
	if r.closed || r.taken {
		return 0, errors.New("read checkpoint: the reader is closed")
	}
	if r.stream == nil {
		if err := errors.Join(r.checkpoint.load(), r.checkpoint.proveTrees()); err != nil {
			return 0, r.store.blame(r.checkpoint.ID, err)
		}
		stream, size := r.checkpoint.newStream(r.store.config.Hashing)
		if size != r.size {
			panic(fmt.Sprintf("snapshot: stream of %s has %d bytes, announced were %d", r.checkpoint.ID, size, r.size))
		}
		r.stream = stream
	}
	n, err := r.stream.Read(p)
	if err != nil && err != io.EOF {
		err = r.store.blame(r.checkpoint.ID, err)
	}
	return n, err
}

// Close implements io.Closer. A checkpoint taken by FromReader stays open.
func (r *Reader) Close() error {
	if r.closed || r.taken {
		r.closed = true
		return nil
	}
	r.closed = true
	return r.checkpoint.Close()
}

// streamBytes is the length of the checkpoint's stream. Cost: runs of pages, not pages.
func (c *Checkpoint) streamBytes() int64 {
	flat := c.flatManifest(func(m *MemoryFile) FileEntry { return FileEntry{} })
	total := uint64(streamHeadBytes+len(flat.encode())) + c.TableBytes
	for _, m := range c.Memories {
		total += flatBytes(m.extents)
	}
	return int64(total)
}

// flatManifest is the manifest of the same state with one file a memory.
func (c *Checkpoint) flatManifest(entry func(*MemoryFile) FileEntry) *Manifest {
	flat := c.Manifest
	flat.Memories = nil // and no tree files: who receives the pages makes them
	for _, m := range c.Memories {
		e := MemoryEntry{Name: m.Name, Size: m.Size, Root: m.Root}
		if len(m.extents) > 0 {
			e.Layers = []FileEntry{entry(m)}
		}
		flat.Memories = append(flat.Memories, e)
	}
	return &flat
}

// newStream makes the stream and its length.
func (c *Checkpoint) newStream(h Hashing) (io.Reader, int64) {
	var indexes [][]byte
	flat := c.flatManifest(func(m *MemoryFile) FileEntry {
		x := m.flatIndex()
		b := x.encode()
		indexes = append(indexes, b)
		return x.entry(b, c.Index)
	})
	manifest := flat.encode()
	head := append(make([]byte, 0, streamHeadBytes), streamMagic...)
	head = binary.LittleEndian.AppendUint32(head, streamVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(manifest)))
	parts := []io.Reader{bytes.NewReader(head), bytes.NewReader(manifest), bytes.NewReader(c.Table)}
	total := int64(len(head) + len(manifest) + len(c.Table))
	for i, m := range c.withPages() {
		parts = append(parts, bytes.NewReader(indexes[i]), &pagesReader{memory: m, hash: h.Page, left: m.extents})
		total += int64(flatBytes(m.extents))
	}
	return io.MultiReader(parts...), total
}

// withPages are the memories that have pages.
func (c *Checkpoint) withPages() []*MemoryFile {
	var some []*MemoryFile
	for _, m := range c.Memories {
		if len(m.extents) > 0 {
			some = append(some, m)
		}
	}
	return some
}

// flatIndex is the index of one file that stores exactly the memory's pages.
func (m *MemoryFile) flatIndex() *pageIndex {
	pages, ranges := flatSize(m.extents)
	x := &pageIndex{pages: pages, hashes: make([]byte, 0, pages*hashBytes), ranges: make([]pageRange, 0, ranges)}
	var position uint64
	for i, e := range m.extents {
		if i > 0 && e.first == x.ranges[len(x.ranges)-1].end() {
			x.ranges[len(x.ranges)-1].count += e.count
		} else {
			x.ranges = append(x.ranges, pageRange{first: e.first, count: e.count, position: position})
		}
		position += e.count
		layer := m.Layers[e.layer].index.hashes
		x.hashes = append(x.hashes, layer[e.position*hashBytes:(e.position+e.count)*hashBytes]...)
	}
	return x
}

// pagesReader yields a memory's pages one after the other, verified.
type pagesReader struct {
	memory *MemoryFile
	hash   func([]byte) pagetrie.Hash
	left   []extent // not read yet
	next   uint64   // page within left[0]
	buf    []byte   // read and verified, not yielded yet
	space  []byte
}

func (r *pagesReader) Read(p []byte) (int, error) {
	if len(r.buf) == 0 {
		if len(r.left) == 0 {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

// fill reads the next pages of one layer that lie together.
func (r *pagesReader) fill() error {
	if r.space == nil {
		pages, _ := flatSize(r.left)
		r.space = make([]byte, min(pages, batchPages)*PageSize)
	}
	e := r.left[0]
	n := min(e.count-r.next, batchPages)
	layer := r.memory.Layers[e.layer]
	buf := r.space[:n*PageSize]
	if err := layer.readVerified(e.position+r.next, buf, r.hash); err != nil {
		return err
	}
	r.buf, r.next = buf, r.next+n
	if r.next == e.count {
		r.left, r.next = r.left[1:], 0
	}
	return nil
}
