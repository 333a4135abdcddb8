package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/pagetrie"
)

// pageLog keeps pages of an unfinished transfer on disk. It needs no syncs and no order: every record proves itself by the
// hash of its page, and what does not is ignored. A record:
//
//	offset  size  field        meaning
//	0       8     magic        "LSRECORD"
//	8       8     page
//	16      32    hash         of the page
//	48      4     name length  of the memory, 1 to MaxNameBytes
//	52      N     name
//	52+N    4096  contents
type pageLog struct {
	fs       FS
	dir      string
	files    []File
	names    []string
	off      int64 // in the last file
	memories map[string]map[uint64]logPlace
	sorted   map[string]*pageIndex // of memories that did not change since
}

// logPlace is where a page of the log lies.
type logPlace struct {
	file int
	off  int64
	hash pagetrie.Hash
}

const (
	logPrefix      = "transfer-"
	logMagic       = "LSRECORD"
	logHeadBytes   = 52
	maxLogAttempts = 32 // files; with more of them the pages are dropped and a transfer starts anew
)

// openPageLog reads what earlier attempts left and starts a file for this one.
func openPageLog(fsys FS, c Config) (*pageLog, error) {
	l := &pageLog{fs: fsys, dir: c.Dir, memories: map[string]map[uint64]logPlace{}, sorted: map[string]*pageIndex{}}
	entries, err := fsys.List(c.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e, logPrefix) {
			l.names = append(l.names, e)
		}
	}
	if len(l.names) >= maxLogAttempts {
		if err := l.remove(); err != nil {
			return nil, err
		}
	}
	for i, n := range l.names {
		f, err := fsys.Open(join(c.Dir, n))
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.files = append(l.files, f)
		l.load(i, c)
	}
	return l, l.begin()
}

// begin starts a new file behind the others.
func (l *pageLog) begin() error {
	n := 0
	for slices.Contains(l.names, logName(n)) {
		n++
	}
	f, err := l.fs.Create(join(l.dir, logName(n)))
	if err != nil {
		return errors.Join(err, l.close())
	}
	l.files, l.names, l.off = append(l.files, f), append(l.names, logName(n)), 0
	return nil
}

func logName(n int) string { return fmt.Sprintf("%s%03d", logPrefix, n) }

// load takes the records of a file up to the first that is not whole.
func (l *pageLog) load(i int, c Config) {
	head := make([]byte, logHeadBytes)
	buf := make([]byte, MaxNameBytes+PageSize)
	for off := int64(0); ; {
		if readFull(l.files[i], l.names[i], head, off) != nil || string(head[:8]) != logMagic {
			return
		}
		n := binary.LittleEndian.Uint32(head[48:])
		page := binary.LittleEndian.Uint64(head[8:])
		if n == 0 || n > MaxNameBytes || page >= MaxMemoryPages {
			return
		}
		rest := buf[:n+PageSize]
		if readFull(l.files[i], l.names[i], rest, off+logHeadBytes) != nil {
			return
		}
		hash := pagetrie.Hash(head[16:48])
		if checkPage(rest[n:], hash, c.Hashing.Page) != "" {
			return
		}
		l.put(string(rest[:n]), page, logPlace{i, off + logHeadBytes + int64(n), hash})
		off += logHeadBytes + int64(len(rest))
	}
}

func (l *pageLog) put(name string, page uint64, p logPlace) {
	if l.memories[name] == nil {
		l.memories[name] = map[uint64]logPlace{}
	}
	l.memories[name][page] = p
	delete(l.sorted, name)
}

// add appends a verified page.
func (l *pageLog) add(name string, page uint64, p Page) error {
	b := append(make([]byte, 0, logHeadBytes+len(name)+PageSize), logMagic...)
	b = binary.LittleEndian.AppendUint64(b, page)
	b = append(b, p.Hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	b = append(append(b, name...), p.Bytes...)
	last := len(l.files) - 1
	if _, err := l.files[last].WriteAt(b, l.off); err != nil {
		return fmt.Errorf("keep received page: %w", err)
	}
	l.put(name, page, logPlace{last, l.off + logHeadBytes + int64(len(name)), p.Hash})
	l.off += int64(len(b))
	return nil
}

// index names the pages of a memory that the log has.
func (l *pageLog) index(name string) *pageIndex {
	if x := l.sorted[name]; x != nil {
		return x
	}
	pages := make([]uint64, 0, len(l.memories[name]))
	for page := range l.memories[name] {
		pages = append(pages, page)
	}
	slices.Sort(pages)
	x := &pageIndex{}
	for _, page := range pages {
		hash := l.memories[name][page].hash
		_ = x.add(page, &hash) // pages ascend and are within bounds
	}
	l.sorted[name] = x
	return x
}

// read returns a page of the log. It was verified when it came or when the log was opened.
func (l *pageLog) read(name string, page uint64) (Page, error) {
	p := l.memories[name][page]
	b := make([]byte, PageSize)
	return Page{Hash: p.hash, Bytes: b}, readFull(l.files[p.file], l.names[p.file], b, p.off)
}

// remove deletes the log: its pages are in a checkpoint, or of no use.
func (l *pageLog) remove() error {
	var errs []error
	for _, n := range l.names {
		errs = append(errs, ignoreMissing(l.fs.Remove(join(l.dir, n))))
	}
	l.names = nil
	return errors.Join(errs...)
}

func (l *pageLog) close() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	if n := len(l.names); n > 0 && l.off == 0 && len(l.files) == n { // nothing came in this attempt
		errs = append(errs, ignoreMissing(l.fs.Remove(join(l.dir, l.names[n-1]))))
	}
	return errors.Join(errs...)
}
