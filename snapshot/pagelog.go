package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lockstep/pagetrie"
)

// pageLog keeps pages of unfinished transfers on disk, in files transfer-INDEX-N of the store's folder; INDEX is that of the
// checkpoint they were sent for. It needs no syncs and no order: every record proves itself by the hash of its page, and what
// does not is ignored. A record:
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
	files    []logFile
	memories map[string]map[uint64]logPlace
	sorted   map[string]*pageIndex // of memories that did not change since
	live     int64                 // bytes of the records in memories

	writing bool   // the last file is this attempt's
	index   uint64 // of the checkpoint that this attempt is about
	waiting []byte // records for the end of the last file
}

// logFile is one attempt's file.
type logFile struct {
	File
	name string
	size int64 // of its whole records
}

// logPlace is where a page of the log lies.
type logPlace struct {
	file int
	off  int64
	hash pagetrie.Hash
}

const (
	logPrefix     = "transfer-"
	logMagic      = "LSRECORD"
	logHeadBytes  = 52
	maxLogFiles   = 32
	maxLogGarbage = 16 << 20
	logWriteBytes = 256 << 10
)

// openPageLog reads what earlier attempts left.
func openPageLog(fsys FS, c Config) (*pageLog, error) {
	l := &pageLog{fs: fsys, dir: c.Dir, memories: map[string]map[uint64]logPlace{}, sorted: map[string]*pageIndex{}}
	entries, err := fsys.List(c.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, ok := parseLogName(e); !ok {
			continue
		}
		f, err := fsys.Open(join(c.Dir, e))
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.files = append(l.files, logFile{File: f, name: e})
		l.load(len(l.files)-1, c)
	}
	return l, nil
}

// begin makes this attempt's file.
func (l *pageLog) begin() error {
	n := 0
	for slices.ContainsFunc(l.files, func(f logFile) bool { return f.name == logName(l.index, n) }) {
		n++
	}
	f, err := l.fs.Create(join(l.dir, logName(l.index, n)))
	if err != nil {
		return fmt.Errorf("keep received page: %w", err)
	}
	l.files, l.writing = append(l.files, logFile{File: f, name: logName(l.index, n)}), true
	return nil
}

func logName(index uint64, n int) string { return fmt.Sprintf("%s%d-%d", logPrefix, index, n) }

func parseLogName(s string) (index uint64, ok bool) {
	var n int
	_, err := fmt.Sscanf(s, logPrefix+"%d-%d", &index, &n)
	return index, err == nil && s == logName(index, n)
}

// load takes the records of a file up to the first that is not whole.
func (l *pageLog) load(i int, c Config) {
	f := &l.files[i]
	head := make([]byte, logHeadBytes)
	buf := make([]byte, MaxNameBytes+PageSize)
	for {
		if readFull(f, f.name, head, f.size) != nil || string(head[:8]) != logMagic {
			return
		}
		n := binary.LittleEndian.Uint32(head[48:])
		page := binary.LittleEndian.Uint64(head[8:])
		if n == 0 || n > MaxNameBytes || page >= MaxMemoryPages {
			return
		}
		rest := buf[:n+PageSize]
		if readFull(f, f.name, rest, f.size+logHeadBytes) != nil {
			return
		}
		hash := pagetrie.Hash(head[16:48])
		if checkPage(rest[n:], hash, c.Hashing.Page) != "" {
			return
		}
		l.put(string(rest[:n]), page, logPlace{i, f.size + logHeadBytes + int64(n), hash})
		f.size += logHeadBytes + int64(len(rest))
	}
}

func (l *pageLog) put(name string, page uint64, p logPlace) {
	if l.memories[name] == nil {
		l.memories[name] = map[uint64]logPlace{}
	}
	if _, known := l.memories[name][page]; !known {
		l.live += recordBytes(name)
	}
	l.memories[name][page] = p
	delete(l.sorted, name)
}

func recordBytes(name string) int64 { return logHeadBytes + int64(len(name)) + PageSize }

// add appends a verified page.
func (l *pageLog) add(name string, page uint64, p Page) error {
	if !l.writing {
		if err := l.begin(); err != nil {
			return err
		}
	}
	last := len(l.files) - 1
	place := logPlace{last, l.files[last].size + int64(len(l.waiting)) + logHeadBytes + int64(len(name)), p.Hash}
	b := append(l.waiting, logMagic...)
	b = binary.LittleEndian.AppendUint64(b, page)
	b = append(b, p.Hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	l.waiting = append(append(b, name...), p.Bytes...)
	l.put(name, page, place)
	if len(l.waiting) < logWriteBytes {
		return nil
	}
	return l.flush()
}

// flush writes what waits. Nothing may be read before.
func (l *pageLog) flush() error {
	if len(l.waiting) == 0 {
		return nil
	}
	f := &l.files[len(l.files)-1]
	if _, err := f.WriteAt(l.waiting, f.size); err != nil {
		return fmt.Errorf("keep received pages: %w", err)
	}
	f.size += int64(len(l.waiting))
	l.waiting = l.waiting[:0]
	return nil
}

// indexOf names the pages of a memory that the log has.
func (l *pageLog) indexOf(name string) *pageIndex {
	if x := l.sorted[name]; x != nil {
		return x
	}
	pages := slices.Sorted(maps.Keys(l.memories[name]))
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
	return Page{Hash: p.hash, Bytes: b}, readFull(l.files[p.file], l.files[p.file].name, b, p.off)
}

// retain prepares the log for an attempt to get a checkpoint: pages that it cannot need are dropped, and what is left is
// written anew if the files are many or hold more that was dropped than that is in use.
func (l *pageLog) retain(m *Manifest) error {
	l.index = m.Index
	sizes := map[string]uint64{}
	for _, e := range m.Memories {
		sizes[e.Name] = e.Size
	}
	for name, pages := range l.memories {
		for page := range pages {
			if page >= sizes[name] {
				l.live -= recordBytes(name)
				delete(pages, page)
				delete(l.sorted, name)
			}
		}
		if len(pages) == 0 {
			delete(l.memories, name)
		}
	}
	total := int64(0)
	for _, f := range l.files {
		total += f.size
	}
	if len(l.files) < maxLogFiles && total-l.live <= l.live+maxLogGarbage {
		return nil
	}
	return l.rewrite()
}

// rewrite puts all pages into one new file. A crash in between leaves some of them twice.
func (l *pageLog) rewrite() error {
	old := l.files
	if err := l.begin(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(l.memories)) {
		for _, page := range slices.Sorted(maps.Keys(l.memories[name])) {
			p, err := l.read(name, page)
			if err == nil {
				err = l.add(name, page, p)
			}
			if err != nil {
				return err
			}
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	var errs []error
	for i := range old {
		errs = append(errs, old[i].Close(), ignoreMissing(l.fs.Remove(join(l.dir, old[i].name))))
	}
	for _, pages := range l.memories {
		for page, p := range pages {
			p.file = 0
			pages[page] = p
		}
	}
	l.files = l.files[len(old):]
	return errors.Join(errs...)
}

// forget drops all pages.
func (l *pageLog) forget() error {
	err := errors.Join(l.remove(), l.close())
	*l = pageLog{fs: l.fs, dir: l.dir, memories: map[string]map[uint64]logPlace{}, sorted: map[string]*pageIndex{}}
	return err
}

// remove deletes the files: their pages are in a checkpoint, or of no use.
func (l *pageLog) remove() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, ignoreMissing(l.fs.Remove(join(l.dir, f.name))))
	}
	return errors.Join(errs...)
}

func (l *pageLog) close() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// dropLogsLocked removes what was kept of transfers of checkpoints up to an index: a newer one is here now.
func (s *Store) dropLogsLocked(index uint64) error {
	if s.receiving {
		return nil // its Close does it
	}
	names, err := s.fs.List(s.config.Dir)
	if err != nil {
		return fmt.Errorf("remove received pages: %w", err)
	}
	var errs []error
	for _, n := range names {
		if at, ok := parseLogName(n); ok && at <= index {
			errs = append(errs, ignoreMissing(s.fs.Remove(join(s.config.Dir, n))))
		}
	}
	return errors.Join(errs...)
}
