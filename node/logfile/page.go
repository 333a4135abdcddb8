package logfile

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
)

// bbolt's page, in the machine's byte order:
//
//	0   8  its number
//	8   2  type: 1 branch, 2 leaf, 4 meta, 16 list of free pages
//	10  2  how many elements follow
//	12  4  how many pages more belong to it
//	16     elements of 16 bytes, and behind them keys and values
//
// A branch's element is the key's place (counted from the element; 4 bytes), its size (4) and the child's number (8); a leaf's is 1
// for a bucket (4), the key's place (4), its size (4) and the value's (4), which follows the key.
type page []byte

const (
	pageHeader   = 16
	element      = 16
	bucketHeader = 16

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
)

func (p page) id() uint64       { return binary.NativeEndian.Uint64(p) }
func (p page) flags() uint16    { return binary.NativeEndian.Uint16(p[8:]) }
func (p page) count() int       { return int(binary.NativeEndian.Uint16(p[10:])) }
func (p page) overflow() uint32 { return binary.NativeEndian.Uint32(p[12:]) }

var errOutside = errors.New("has an element that reaches beyond it")

// cut gives size bytes at an offset from the element at.
func (p page) cut(at int, offset, size uint32) ([]byte, error) {
	from := uint64(at) + uint64(offset)
	if offset == 0 || from+uint64(size) > uint64(len(p)) {
		return nil, errOutside
	}
	return p[from : from+uint64(size)], nil
}

// header gives the place of an element, if it is inside the page.
func (p page) header(i int) (at int, err error) {
	if at = pageHeader + i*element; at+element > len(p) {
		return 0, errOutside
	}
	return at, nil
}

type branchElement struct {
	key   []byte
	child uint64
}

func (p page) branches() ([]branchElement, error) {
	var out []branchElement
	for i := range p.count() {
		at, err := p.header(i)
		if err != nil {
			return nil, err
		}
		key, err := p.cut(at, binary.NativeEndian.Uint32(p[at:]), binary.NativeEndian.Uint32(p[at+4:]))
		if err != nil {
			return nil, err
		}
		out = append(out, branchElement{key, binary.NativeEndian.Uint64(p[at+8:])})
	}
	return out, nil
}

type leafElement struct {
	bucket     bool
	key, value []byte
}

func (p page) leaves() ([]leafElement, error) {
	var out []leafElement
	for i := range p.count() {
		at, err := p.header(i)
		if err != nil {
			return nil, err
		}
		offset, size := binary.NativeEndian.Uint32(p[at+4:]), binary.NativeEndian.Uint32(p[at+8:])
		key, err := p.cut(at, offset, size)
		if err != nil {
			return nil, err
		}
		from := uint64(at) + uint64(offset) + uint64(size)
		to := from + uint64(binary.NativeEndian.Uint32(p[at+12:]))
		if to > uint64(len(p)) {
			return nil, errOutside
		}
		out = append(out, leafElement{binary.NativeEndian.Uint32(p[at:])&1 != 0, key, p[from:to]})
	}
	return out, nil
}

// numbers are what a list of free pages has: 8 bytes each, their count first if it does not fit in the header.
func (p page) numbers() ([]uint64, error) {
	rest, count := p[pageHeader:], uint64(p.count())
	if count == manyFree {
		count, rest = binary.NativeEndian.Uint64(rest), rest[8:]
	}
	if count > uint64(len(rest))/8 {
		return nil, errOutside
	}
	out := make([]uint64, count)
	for i := range out {
		out[i] = binary.NativeEndian.Uint64(rest[8*i:])
	}
	return out, nil
}

// manyFree is the count of a list whose count is elsewhere.
const manyFree = 0xFFFF

// meta is what pages 0 and 1 hold behind their header:
//
//	0   4  magic       16  8  root's page     40  8  pages in the file that were ever used
//	4   4  version     24  8  (a counter)     48  8  number of the newest write
//	8   4  page size   32  8  list of free    56  8  FNV-1a of the bytes before
//	12  4  (0)                pages, or none
type meta struct {
	pageSize                     uint32
	root, freelist, pages, write uint64
}

const (
	magic      = 0xED0CDAED
	version    = 2
	metaBytes  = 64
	noFreelist = ^uint64(0)

	smallestPage, largestPage = 1 << 10, 1 << 20
)

// readMeta gives the newer one of the two; both must be whole.
func (c *checker) readMeta() (meta, error) {
	first, err := c.metaAt(0, 0)
	if err != nil {
		return meta{}, err
	}
	second, err := c.metaAt(1, uint64(first.pageSize))
	if err != nil {
		return meta{}, err
	}
	if second.write > first.write {
		first = second
	}
	if first.pages < 3 || first.pages > c.size/uint64(first.pageSize) {
		return meta{}, bad(0, "speaks of %d pages, the file has %d", first.pages, c.size/uint64(first.pageSize))
	}
	return first, nil
}

func (c *checker) metaAt(id, offset uint64) (meta, error) {
	p := make(page, pageHeader+metaBytes)
	if offset+uint64(len(p)) > c.size {
		return meta{}, bad(id, "is missing: the file has %d bytes", c.size)
	}
	if _, err := c.file.ReadAt(p, int64(offset)); err != nil {
		return meta{}, err
	}
	b := p[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:56])
	m := meta{pageSize: binary.NativeEndian.Uint32(b[8:]), root: binary.NativeEndian.Uint64(b[16:]), freelist: binary.NativeEndian.Uint64(b[32:]),
		pages: binary.NativeEndian.Uint64(b[40:]), write: binary.NativeEndian.Uint64(b[48:])}
	switch {
	case binary.NativeEndian.Uint32(b) != magic || binary.NativeEndian.Uint64(b[56:]) != sum.Sum64():
		return m, bad(id, "has no meta with a right checksum")
	case p.id() != id || p.flags() != metaPage:
		return m, bad(id, "says that it is page %d of type %#x", p.id(), p.flags())
	case binary.NativeEndian.Uint32(b[4:]) != version:
		return m, bad(id, "has version %d of the format, known is %d", binary.NativeEndian.Uint32(b[4:]), version)
	case m.pageSize < smallestPage || m.pageSize > largestPage || m.pageSize&(m.pageSize-1) != 0:
		return m, bad(id, "speaks of pages of %d bytes", m.pageSize)
	}
	return m, nil
}
