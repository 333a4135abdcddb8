package snapshot

import (
	"fmt"
	"hash/crc32"
	"os"

	"lockstep/pagetrie"
)

// PageFile is an opened page file: one layer of a memory. Which pages it names is verified and in memory; their hashes are
// too, or are read when they are asked for (see Checkpoint); its pages are read or mapped from File. It is immutable and may
// be used by several goroutines.
type PageFile struct {
	Entry      FileEntry
	File       *os.File // nil if the store's FS is not the operating system's; owned by the Checkpoint
	DataOffset int64    // of the first stored page, a multiple of PageSize

	path   string
	file   File
	index  *pageIndex // with hashes unless they are read from stored
	stored *blocks    // the hashes in the file
	tree   *blocks    // the layer's tree records; nil if they are not opened
}

// Len is the number of stored pages.
func (p *PageFile) Len() uint64 { return p.index.pages }

// Hash returns the hash of the stored page at a position, 0 <= position < Len. It panics with a *pagetrie.Unreadable if the
// file can't be read: that may happen where the hashes are not in memory.
func (p *PageFile) Hash(position uint64) (h pagetrie.Hash) {
	if p.index.hashes != nil {
		return p.index.hash(position)
	}
	if err := p.stored.read(h[:], int64(position)*hashBytes); err != nil {
		panic(&pagetrie.Unreadable{Err: err})
	}
	return h
}

// hashesFrom is Hash for a row of pages.
func (p *PageFile) hashesFrom(position uint64, hashes []pagetrie.Hash) {
	if p.index.hashes != nil {
		for i := range hashes {
			hashes[i] = p.index.hash(position + uint64(i))
		}
		return
	}
	var b [8 * hashBytes]byte
	for len(hashes) > 0 {
		n := min(len(hashes), len(b)/hashBytes)
		if err := p.stored.read(b[:n*hashBytes], int64(position)*hashBytes); err != nil {
			panic(&pagetrie.Unreadable{Err: err})
		}
		for i := range n {
			copy(hashes[i][:], b[i*hashBytes:])
		}
		hashes, position = hashes[n:], position+uint64(n)
	}
}

// PageIndex returns the number, in its memory, of the stored page at a position. Cost: logarithmic in the runs of pages.
func (p *PageFile) PageIndex(position uint64) uint64 { return p.index.page(position) }

// ReadPage reads the stored page at a position. The bytes are not verified.
// Preconditions: len(buf) is PageSize.
func (p *PageFile) ReadPage(position uint64, buf []byte) error {
	return readFull(p.file, p.path, buf, p.offset(position))
}

func (p *PageFile) offset(position uint64) int64 { return p.DataOffset + int64(position)*PageSize }

// openPageFile opens a file of a folder and verifies which pages it names, not their hashes.
// Preconditions: e is valid.
func openPageFile(fsys FS, dir string, e FileEntry) (*PageFile, error) {
	path := join(dir, e.Name())
	f, err := openSized(fsys, path, int64(e.Length))
	if err != nil {
		return nil, err
	}
	p := &PageFile{Entry: e, path: path, file: f}
	p.File, _ = f.(*os.File)
	if err := p.readSkeleton(); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// readSkeleton reads the index without its hashes.
func (p *PageFile) readSkeleton() error {
	start, foot := int64(p.Entry.Pages*PageSize), int64(p.Entry.indexBytes())-footerBytes
	hashes := int64(p.Entry.Pages * hashBytes)
	b := make([]byte, foot-hashes+footerBytes)
	ranges, footer := b[:foot-hashes], b[foot-hashes:]
	if err := readFull(p.file, p.path, ranges, start); err != nil {
		return err
	}
	if err := readFull(p.file, p.path, footer, start+foot); err != nil {
		return err
	}
	if skeletonSum(ranges, footer) != p.Entry.Ranges {
		return &Damage{File: p.path, Offset: start, Fault: "checksum of the page ranges is wrong"}
	}
	x, _, fault := decodeFooter(footer, int(foot))
	if fault == nil && x.pages != p.Entry.Pages {
		fault = &decodeError{foot + 16, fmt.Sprintf("the file stores %d pages, the manifest says %d", x.pages, p.Entry.Pages)}
	}
	if fault == nil {
		fault = x.decodeRanges(ranges)
	}
	if fault != nil {
		return &Damage{File: p.path, Offset: start + fault.offset, Fault: fault.fault}
	}
	p.index = x
	p.stored = newBlocks(p.file, p.path, start+foot-hashes, hashes)
	return nil
}

// readIndex verifies the whole index, and keeps its hashes in memory.
func (p *PageFile) readIndex() error {
	b, err := p.indexBytes()
	if err != nil {
		return err
	}
	start := int64(p.Entry.Pages * PageSize)
	if crc32.Checksum(b, castagnoli) != p.Entry.Sum {
		return &Damage{File: p.path, Offset: start, Fault: "checksum of the page index is wrong"}
	}
	x, fault := decodePageIndex(b)
	if fault != nil {
		return &Damage{File: p.path, Offset: start + fault.offset, Fault: fault.fault}
	}
	p.index = x
	return nil
}

// indexBytes reads the encoded index. The length was held against the file's before.
func (p *PageFile) indexBytes() ([]byte, error) {
	b := make([]byte, p.Entry.indexBytes())
	return b, readFull(p.file, p.path, b, int64(p.Entry.Pages*PageSize))
}

// pageFileWriter writes one page file into a folder. Pages leave in large sequential writes, from where they lie.
type pageFileWriter struct {
	fsys  FS
	dir   string
	path  string // until finish
	file  File
	pages [][]byte // named by the index and not written yet; they follow off
	off   int64
	begun int64 // what is before it is on its way to the disk
	index pageIndex
}

func newPageFileWriter(fsys FS, dir, name string) (*pageFileWriter, error) {
	path := join(dir, name)
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create page file: %w", err)
	}
	return &pageFileWriter{fsys: fsys, dir: dir, path: path, file: f}, nil
}

// writeoutBytes is after how much the disk is set to work, so that it writes while the rest is still being copied, and the final
// sync waits for little.
const writeoutBytes = 4 << 20

// add stores the next page. Its bytes must stay until they are written: until finish at the latest.
func (w *pageFileWriter) add(page uint64, p Page) error {
	if len(p.Bytes) != PageSize {
		panic(fmt.Sprintf("snapshot: page %d has %d bytes", page, len(p.Bytes)))
	}
	if isZero(p.Bytes) {
		return fmt.Errorf("page %d is all zero, such pages are not stored", page)
	}
	if err := w.put(page, p); err != nil || len(w.pages) < batchPages {
		return err
	}
	return w.flush()
}

// put names the next page, which the next flush writes.
func (w *pageFileWriter) put(page uint64, p Page) error {
	w.pages = append(w.pages, p.Bytes)
	return w.index.add(page, &p.Hash)
}

// addZero declares the next page zero.
func (w *pageFileWriter) addZero(page uint64) error { return w.index.add(page, nil) }

func (w *pageFileWriter) flush() error {
	n := len(w.pages) * PageSize
	err := w.write(w.pages, n)
	w.pages = w.pages[:0]
	return err
}

// write writes n bytes at the end.
func (w *pageFileWriter) write(parts [][]byte, n int) error {
	if n == 0 {
		return nil
	}
	if err := writeGathered(w.file, parts, w.off); err != nil {
		return fmt.Errorf("write checkpoint page file at offset %d: %w", w.off, err)
	}
	w.off += int64(n)
	if w.off-w.begun >= writeoutBytes {
		beginWriteout(w.file, w.begun, w.off-w.begun)
		w.begun = w.off
	}
	return nil
}

// finish writes the index, makes the file durable and gives it its final name.
func (w *pageFileWriter) finish(born uint64) (FileEntry, error) {
	index := w.index.encode()
	e := w.index.entry(index, born)
	err := w.flush()
	if err == nil {
		err = w.write([][]byte{index}, len(index))
	}
	if err == nil {
		err = w.file.Sync()
	}
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = w.fsys.Rename(w.path, join(w.dir, e.Name()))
	}
	if err != nil {
		return FileEntry{}, fmt.Errorf("finish page file %s: %w", w.path, err)
	}
	return e, nil
}

// abort closes the file; the folder it lies in is temporary and removed by its owner.
func (w *pageFileWriter) abort() { w.file.Close() }
