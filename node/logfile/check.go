package logfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// DamageError says what in a log file is wrong.
type DamageError struct {
	Path string
	// Page is the number of the page that shows it.
	Page   uint64
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("log file %s is damaged: page %d %s", e.Path, e.Page, e.Reason)
}

// The names of raft-boltdb's bucket of entries, and the length of their keys.
const (
	entriesBucket = "logs"
	indexBytes    = 8
)

// Check reads every page of the log file that its entries are found through. What it finds is a *DamageError; other errors are of
// reading the file. Nobody may write to it meanwhile. It takes as long as reading the file, and memory for its largest entry.
func Check(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	c := &checker{file: file, size: uint64(info.Size())}
	err = c.check()
	var damage *DamageError
	if errors.As(err, &damage) {
		damage.Path = path
		return damage
	}
	if err != nil {
		return fmt.Errorf("read log file %s: %w", path, err)
	}
	return nil
}

// checker walks one file.
type checker struct {
	file     io.ReaderAt
	size     uint64
	pageSize uint64
	used     []bool // by page, up to the high-water mark
	// entries is set within the bucket of entries; last is the index before.
	entries bool
	last    uint64
}

func bad(page uint64, format string, args ...any) error {
	return &DamageError{Page: page, Reason: fmt.Sprintf(format, args...)}
}

func (c *checker) check() error {
	m, err := c.readMeta()
	if err != nil {
		return err
	}
	c.pageSize, c.used = uint64(m.pageSize), make([]bool, m.pages)
	c.used[0], c.used[1] = true, true
	if m.freelist != noFreelist {
		if err := c.freelist(m.freelist); err != nil {
			return err
		}
	}
	return c.tree(m.root, span{}, true)
}

// page reads a page of the tree with all that belongs to it, which no other part of the tree may use.
func (c *checker) page(id uint64) (page, error) {
	if id >= uint64(len(c.used)) {
		return nil, bad(id, "is beyond the file's %d pages", len(c.used))
	}
	head := make(page, pageHeader)
	if _, err := c.file.ReadAt(head, int64(id*c.pageSize)); err != nil {
		return nil, err
	}
	count := uint64(head.overflow()) + 1
	if head.id() != id {
		return nil, bad(id, "says that it is page %d", head.id())
	}
	if count > uint64(len(c.used))-id {
		return nil, bad(id, "and its %d more reach beyond the file's %d pages", count-1, len(c.used))
	}
	for i := id; i < id+count; i++ {
		if c.used[i] {
			return nil, bad(i, "is used twice")
		}
		c.used[i] = true
	}
	p := make(page, count*c.pageSize)
	_, err := c.file.ReadAt(p, int64(id*c.pageSize))
	return p, err
}

// freelist checks the list of free pages, if the file has one: no other part may use them.
func (c *checker) freelist(id uint64) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	if p.flags() != freelistPage {
		return bad(id, "is no list of free pages (type %#x)", p.flags())
	}
	free, err := p.numbers()
	if err != nil {
		return bad(id, "%v", err)
	}
	for _, n := range free {
		if n >= uint64(len(c.used)) || c.used[n] {
			return bad(id, "says that page %d is free", n)
		}
		c.used[n] = true
	}
	return nil
}

// span bounds the keys of a page: from min, and below max; nil is no bound.
type span struct{ min, max []byte }

// tree checks a page and all below it. top is the bucket of buckets.
func (c *checker) tree(id uint64, within span, top bool) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	switch p.flags() {
	case branchPage:
		return c.branch(id, p, within, top)
	case leafPage:
		return c.leaf(id, p, within, top)
	}
	return bad(id, "is neither branch nor leaf (type %#x)", p.flags())
}

func (c *checker) branch(id uint64, p page, within span, top bool) error {
	children, err := p.branches()
	if err != nil {
		return bad(id, "%v", err)
	}
	if len(children) == 0 {
		return bad(id, "is a branch without children")
	}
	for i, e := range children {
		below := span{e.key, within.max}
		if i+1 < len(children) {
			below.max = children[i+1].key
		}
		if !within.holds(e.key) || i > 0 && bytes.Compare(children[i-1].key, e.key) >= 0 {
			return bad(id, "has key %x out of order", e.key)
		}
		if err := c.tree(e.child, below, top); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) leaf(id uint64, p page, within span, top bool) error {
	elements, err := p.leaves()
	if err != nil {
		return bad(id, "%v", err)
	}
	for i, e := range elements {
		if !within.holds(e.key) || i > 0 && bytes.Compare(elements[i-1].key, e.key) >= 0 {
			return bad(id, "has key %x out of order", e.key)
		}
		if e.bucket != top {
			return bad(id, "has at %x what belongs elsewhere", e.key)
		}
		if top {
			err = c.bucket(id, string(e.key), e.value)
		} else if c.entries {
			err = c.entry(id, e.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s span) holds(key []byte) bool {
	return bytes.Compare(s.min, key) <= 0 && (s.max == nil || bytes.Compare(key, s.max) < 0)
}

// bucket checks a bucket by what its parent holds: the number of its page, or that page itself, if it is small.
func (c *checker) bucket(id uint64, name string, value []byte) error {
	if len(value) < bucketHeader {
		return bad(id, "has a bucket of %d bytes", len(value))
	}
	c.entries, c.last = name == entriesBucket, 0
	defer func() { c.entries = false }()
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, span{}, false)
	}
	inside := page(value[bucketHeader:])
	if len(inside) < pageHeader || inside.flags() != leafPage {
		return bad(id, "has a small bucket that is no leaf")
	}
	return c.leaf(id, inside, span{}, false)
}

// entry checks that an entry follows the one before.
func (c *checker) entry(id uint64, key []byte) error {
	if len(key) != indexBytes {
		return bad(id, "has an entry with a key of %d bytes", len(key))
	}
	index := binary.BigEndian.Uint64(key)
	if c.last != 0 && index != c.last+1 {
		return bad(id, "has entry %d after entry %d", index, c.last)
	}
	c.last = index
	return nil
}
