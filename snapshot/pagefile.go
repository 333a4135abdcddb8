package snapshot

import (
	"fmt"
	"hash/crc32"
	"os"
	"runtime"

	"lockstep/pagetrie"
)

// PageFile is an opened page file: one layer of a memory. Its index is verified and in memory; its pages are read or mapped
// from File. It is immutable and may be used by several goroutines.
type PageFile struct {
	Entry      FileEntry
	File       *os.File // nil if the store's FS is not the operating system's; owned by the Checkpoint
	DataOffset int64    // of the first stored page, a multiple of PageSize

	path  string
	file  File
	index *pageIndex
}

// Len is the number of stored pages.
func (p *PageFile) Len() uint64 { return p.index.pages }

// Hash returns the hash of the stored page at a position, 0 <= position < Len.
func (p *PageFile) Hash(position uint64) pagetrie.Hash { return p.index.hash(position) }

// PageIndex returns the number, in its memory, of the stored page at a position. Cost: logarithmic in the runs of pages.
func (p *PageFile) PageIndex(position uint64) uint64 { return p.index.page(position) }

// ReadPage reads the stored page at a position. The bytes are not verified.
// Preconditions: len(buf) is PageSize.
func (p *PageFile) ReadPage(position uint64, buf []byte) error {
	return readFull(p.file, p.path, buf, p.offset(position))
}

func (p *PageFile) offset(position uint64) int64 { return p.DataOffset + int64(position)*PageSize }

// openPageFile opens a file of a folder and verifies its index.
// Preconditions: e is valid.
func openPageFile(fsys FS, dir string, e FileEntry) (*PageFile, error) {
	path := join(dir, e.Name())
	f, err := openSized(fsys, path, int64(e.Length))
	if err != nil {
		return nil, err
	}
	p := &PageFile{Entry: e, path: path, file: f}
	p.File, _ = f.(*os.File)
	if err := p.readIndex(); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

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
	if x.pages != p.Entry.Pages {
		return &Damage{File: p.path, Offset: start, Fault: fmt.Sprintf("the file stores %d pages, the manifest says %d", x.pages, p.Entry.Pages)}
	}
	p.index = x
	return nil
}

// indexBytes reads the encoded index. The length was held against the file's before.
func (p *PageFile) indexBytes() ([]byte, error) {
	b := make([]byte, p.Entry.indexBytes())
	return b, readFull(p.file, p.path, b, int64(p.Entry.Pages*PageSize))
}

// pageFileWriter writes one page file into a folder. Pages leave in large sequential writes.
type pageFileWriter struct {
	fsys  FS
	dir   string
	path  string // until finish
	file  File
	buf   []byte
	off   int64
	index pageIndex
}

const writeBufferBytes = 1 << 20

func newPageFileWriter(fsys FS, dir, name string) (*pageFileWriter, error) {
	path := join(dir, name)
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create page file: %w", err)
	}
	return &pageFileWriter{fsys: fsys, dir: dir, path: path, file: f, buf: make([]byte, 0, writeBufferBytes)}, nil
}

// add stores the next page.
func (w *pageFileWriter) add(page uint64, p Page) error {
	if len(p.Bytes) != PageSize {
		panic(fmt.Sprintf("snapshot: page %d has %d bytes", page, len(p.Bytes)))
	}
	if isZero(p.Bytes) {
		return fmt.Errorf("page %d is all zero, such pages are not stored", page)
	}
	if err := w.index.add(page, &p.Hash); err != nil {
		return err
	}
	w.buf = append(w.buf, p.Bytes...)
	if w.index.pages%yieldPages == 0 {
		runtime.Gosched()
	}
	if len(w.buf) < writeBufferBytes {
		return nil
	}
	return w.flush()
}

// addZero declares the next page zero.
func (w *pageFileWriter) addZero(page uint64) error { return w.index.add(page, nil) }

func (w *pageFileWriter) flush() error {
	if err := w.write(w.buf); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	return nil
}

func (w *pageFileWriter) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := w.file.WriteAt(b, w.off); err != nil {
		return fmt.Errorf("write checkpoint page file at offset %d: %w", w.off, err)
	}
	w.off += int64(len(b))
	return nil
}

// finish writes the index, makes the file durable and gives it its final name.
func (w *pageFileWriter) finish(born uint64) (FileEntry, error) {
	index := w.index.encode()
	e := w.index.entry(index, born)
	err := w.flush()
	if err == nil {
		err = w.write(index)
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
