package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"lockstep/pagetrie"
)

// Report says what Verify read.
type Report struct {
	ID                 string
	Index, Term, Round uint64
	Root               pagetrie.Hash
	Memories, Files    int
	Pages              uint64 // stored and verified
	Bytes              uint64 // of all files
}

// Verify checks every byte of a checkpoint folder: manifest, table, page indexes, every page against its hash, every
// memory's root, and that nothing else lies in the folder. A folder with the name that a store gives, checkpoint-INDEX-TERM-N, must
// be that checkpoint; any other name says nothing. The error names the file and the offset of the first fault; it
// matches IsDamage unless the folder could not be read at all.
//
// What it cannot know is whether the state root is that of the table and the memories: the state machine, which knows how it
// is made, checks that when it restores.
func Verify(dir string, h Hashing) (Report, error) {
	c, err := openFolder(OS{}, dir)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	if n, ok := parseName(strings.TrimPrefix(folderName(dir), damagedPrefix)); ok {
		if err := c.named(n); err != nil {
			return Report{}, err
		}
	}
	return verify(OS{}, c, h)
}

// folderName is the last element of a folder's whole path; "" if that can't be told.
func folderName(dir string) string {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return filepath.Base(whole)
}

// verify checks what opening did not.
func verify(fsys FS, c *Checkpoint, h Hashing) (Report, error) {
	r := Report{ID: c.ID, Index: c.Index, Term: c.Term, Round: c.Round, Root: c.Root, Memories: len(c.Memories)}
	r.Bytes = c.TableBytes + uint64(len(c.Manifest.encode()))
	files := map[string]bool{manifestName: true, tableName: true}
	for _, t := range c.Manifest.trees() {
		files[t.Name()] = true
		r.Bytes += t.Length()
	}
	for _, m := range c.Memories {
		for _, l := range m.Layers {
			if name := l.Entry.Name(); !files[name] {
				files[name] = true
				r.Pages += l.Len()
				r.Bytes += l.Entry.Length
				if err := l.verify(h); err != nil {
					return r, err
				}
			}
		}
		if err := m.verifyRoot(c, h); err != nil {
			return r, err
		}
	}
	r.Files = len(files)
	return r, noStrangers(fsys, c.Dir, files)
}

// verifyRoot holds the memory's root, and its tree, against the hashes of its pages.
func (m *MemoryFile) verifyRoot(c *Checkpoint, h Hashing) error {
	pages, hashes := m.eager()
	root := m.rootOf(pages.Root(hashes), h)
	if root == m.Root {
		return m.verifyTree(pages, hashes)
	}
	return &Damage{File: join(c.Dir, manifestName), Fault: fmt.Sprintf("memory %q: its pages have root %v, the manifest says %v", m.Name, root, m.Root)}
}

// noStrangers checks that a folder holds the files and nothing else. An open checkpoint may have lost its folder.
func noStrangers(fsys FS, dir string, files map[string]bool) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("verify checkpoint: %w", err)
	}
	for _, n := range names {
		if !files[n] {
			return &Damage{File: join(dir, n), Fault: "the file does not belong to the checkpoint"}
		}
	}
	return nil
}

// verify checks the file's digest and every page.
func (p *PageFile) verify(h Hashing) error {
	if indexDigest(p.index.encode()) != p.Entry.Digest {
		return &Damage{File: p.path, Offset: int64(p.Entry.Pages * PageSize), Fault: "SHA-256 of the page index is not the manifest's"}
	}
	var next, bad atomic.Int64 // next batch; first batch with a fault
	batches := int64((p.Len() + batchPages - 1) / batchPages)
	bad.Store(batches)
	errs := make([]error, batches)
	var wg sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), batches) {
		wg.Go(func() {
			buf := make([]byte, min(batchPages, p.Len())*PageSize)
			check := pageCheck{hash: h.Page, pair: h.Pair, index: p.index, workers: 1, rest: new(rest)}
			for i := next.Add(1) - 1; i < bad.Load(); i = next.Add(1) - 1 {
				first := uint64(i) * batchPages
				n := min(batchPages, p.Len()-first)
				if errs[i] = p.readChecked(first, buf[:n*PageSize], check); errs[i] != nil {
					lower(&bad, i)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[min(bad.Load(), batches):min(bad.Load()+1, batches)]...)
}

func lower(v *atomic.Int64, to int64) {
	for old := v.Load(); to < old && !v.CompareAndSwap(old, to); old = v.Load() {
	}
}

// readVerified reads stored pages from a position on and checks each against its hash, on all processors.
// Preconditions: len(buf) is a multiple of PageSize.
func (p *PageFile) readVerified(position uint64, buf []byte, hash func([]byte) pagetrie.Hash) error {
	return p.readChecked(position, buf, pageCheck{hash: hash, index: p.index, workers: runtime.GOMAXPROCS(0)})
}

func (p *PageFile) readChecked(position uint64, buf []byte, c pageCheck) error {
	if err := readFull(p.file, p.path, buf, p.offset(position)); err != nil {
		return err
	}
	if bad, fault := c.first(position, buf); fault != "" {
		return &Damage{File: p.path, Offset: p.offset(bad), Fault: fmt.Sprintf("page %d %s", p.PageIndex(bad), fault)}
	}
	return nil
}

// pageCheck checks pages against an index.
type pageCheck struct {
	hash    func([]byte) pagetrie.Hash
	pair    func(a, b []byte) (x, y pagetrie.Hash) // nil: one page at a time
	index   *pageIndex
	workers int
	rest    *rest // of the caller's goroutine; nil: with this call
}

// first finds the first bad page in buf, whose pages stand in the index from a position on.
func (c pageCheck) first(position uint64, buf []byte) (bad uint64, fault string) {
	n := len(buf) / PageSize
	each := max((n+c.workers-1)/c.workers, 8) // fewer are not worth a goroutine
	if n <= each {
		return c.run(position, buf)
	}
	parts := (n + each - 1) / each
	bads, faults := make([]uint64, parts), make([]string, parts)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			lo, hi := i*each, min((i+1)*each, n)
			part := c
			part.rest = nil
			bads[i], faults[i] = part.run(position+uint64(lo), buf[lo*PageSize:hi*PageSize])
		})
	}
	wg.Wait()
	for i, fault := range faults {
		if fault != "" {
			return bads[i], fault
		}
	}
	return 0, ""
}

func (c pageCheck) run(position uint64, buf []byte) (bad uint64, fault string) {
	if c.rest == nil {
		c.rest = new(rest)
	}
	n := uint64(len(buf) / PageSize)
	page := func(i uint64) []byte { return buf[i*PageSize : (i+1)*PageSize] }
	i := uint64(0)
	for ; c.pair != nil && i+1 < n; i += 2 {
		if i%restPages == 0 {
			c.rest.take()
		}
		x, y := c.pair(page(i), page(i+1))
		if x != c.index.hash(position+i) || y != c.index.hash(position+i+1) || isZero(page(i)) || isZero(page(i+1)) {
			break // the one below says which
		}
	}
	for ; i < n; i++ {
		if i%restPages == 0 {
			c.rest.take()
		}
		if fault := checkPage(buf[i*PageSize:(i+1)*PageSize], c.index.hash(position+i), c.hash); fault != "" {
			return position + i, fault
		}
	}
	return 0, ""
}

// restPages is how many pages are hashed before it is asked whether it is time to rest.
const restPages = 16

var zeroPage [PageSize]byte

func isZero(b []byte) bool { return b[0] == 0 && bytes.Equal(b, zeroPage[:]) }

// checkPage says what is wrong with a stored page, or nothing.
func checkPage(b []byte, want pagetrie.Hash, hash func([]byte) pagetrie.Hash) string {
	if isZero(b) {
		return "is all zero, such pages are not stored"
	}
	if got := hash(b); got != want {
		return fmt.Sprintf("has hash %v, its index says %v", got, want)
	}
	return ""
}
