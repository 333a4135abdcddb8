package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"

	"lockstep/pagetrie"
)

// pageIndex says which pages a page file names: those it stores, each with its hash, and those it declares zero.
// It is immutable once a file is complete.
type pageIndex struct {
	ranges []pageRange // ascending, disjoint, neighbours of one kind joined
	hashes []byte      // hashBytes for each stored page
	pages  uint64      // stored
	zeros  uint64      // declared zero
}

// pageRange is a run of pages of one kind.
type pageRange struct {
	first    uint64
	count    uint64
	zero     bool
	position uint64 // of the first page among the stored pages
}

func (r pageRange) end() uint64 { return r.first + r.count }

const (
	hashBytes     = 32
	rangeBytes    = 16
	footerBytes   = 40
	footerMagic   = "LSPAGES\x01"
	digestContext = "lockstep page file\x00"

	rangeStored = 0
	rangeZero   = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add names the next page; hash is nil for a page declared zero.
// Preconditions: page is above every page named before.
func (x *pageIndex) add(page uint64, hash *pagetrie.Hash) error {
	zero := hash == nil
	n := len(x.ranges)
	if n > 0 && page < x.ranges[n-1].end() {
		return fmt.Errorf("page %d does not follow page %d: pages must ascend", page, x.ranges[n-1].end()-1)
	}
	if page >= MaxMemoryPages {
		return fmt.Errorf("page %d is above the limit of %d pages", page, MaxMemoryPages)
	}
	if n > 0 && x.ranges[n-1].zero == zero && x.ranges[n-1].end() == page {
		x.ranges[n-1].count++
	} else {
		x.ranges = append(x.ranges, pageRange{first: page, count: 1, zero: zero, position: x.pages})
	}
	if zero {
		x.zeros++
		return nil
	}
	x.pages++
	x.hashes = append(x.hashes, hash[:]...)
	return nil
}

// hash returns the hash of the stored page at a position.
func (x *pageIndex) hash(position uint64) (h pagetrie.Hash) {
	copy(h[:], x.hashes[position*hashBytes:])
	return h
}

// page returns the number of the stored page at a position.
func (x *pageIndex) page(position uint64) uint64 {
	// A zero range has the position of the stored range behind it, so the last range at or below the position stores it.
	i := sort.Search(len(x.ranges), func(i int) bool { return x.ranges[i].position > position }) - 1
	return x.ranges[i].first + position - x.ranges[i].position
}

// encode returns the index's bytes: ranges, hashes, footer.
func (x *pageIndex) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, len(x.ranges)*rangeBytes+len(x.hashes)+footerBytes)
	for _, r := range x.ranges {
		kind := uint32(rangeStored)
		if r.zero {
			kind = rangeZero
		}
		b = le.AppendUint64(b, r.first)
		b = le.AppendUint32(b, uint32(r.count))
		b = le.AppendUint32(b, kind)
	}
	b = append(b, x.hashes...)
	b = append(b, footerMagic...)
	b = le.AppendUint32(b, pageFileVersion)
	b = le.AppendUint32(b, PageSize)
	b = le.AppendUint64(b, x.pages)
	b = le.AppendUint64(b, x.zeros)
	return le.AppendUint64(b, uint64(len(x.ranges)))
}

// entry describes the file that stores the index's pages, whose encoded index is b.
func (x *pageIndex) entry(b []byte, born uint64) FileEntry {
	return FileEntry{
		Length: x.pages*PageSize + uint64(len(b)),
		Pages:  x.pages,
		Born:   born,
		Sum:    crc32.Checksum(b, castagnoli),
		Ranges: skeletonSum(b[:len(x.ranges)*rangeBytes], b[len(b)-footerBytes:]),
		Digest: indexDigest(b),
	}
}

// skeletonSum is the checksum of an index without its hashes.
func skeletonSum(ranges, foot []byte) uint32 {
	return crc32.Update(crc32.Checksum(ranges, castagnoli), castagnoli, foot)
}

func indexDigest(index []byte) Digest { return sumWithContext(digestContext, index) }

// decodePageIndex reads what encode wrote; b is kept. It accepts only canonical encodings. Offsets of faults count
// from the start of the index.
func decodePageIndex(b []byte) (*pageIndex, *decodeError) {
	foot := len(b) - footerBytes
	if foot < 0 {
		return nil, &decodeError{int64(len(b)), "the index ends early"}
	}
	x, ranges, fault := decodeFooter(b[foot:], foot)
	if fault != nil {
		return nil, fault
	}
	x.hashes = b[ranges*rangeBytes : foot]
	if fault := x.decodeRanges(b[:ranges*rangeBytes]); fault != nil {
		return nil, fault
	}
	return x, nil
}

// decodeFooter reads the footer of an index that begins foot bytes before it. The hashes and ranges are still missing.
func decodeFooter(b []byte, foot int) (x *pageIndex, ranges uint64, fault *decodeError) {
	c := &cursor{b: b}
	if string(c.take(8)) != footerMagic {
		c.fail(0, "this is no page file (wrong magic)")
	}
	if v := c.u32(); v != pageFileVersion {
		c.fail(8, "format version %d, this program reads version %d", v, pageFileVersion)
	}
	if v := c.u32(); v != PageSize {
		c.fail(12, "pages of %d bytes, only %d is supported", v, PageSize)
	}
	pages, zeros, ranges := c.u64(), c.u64(), c.u64()
	if pages > MaxMemoryPages || zeros > MaxMemoryPages || ranges > 2*MaxMemoryPages ||
		ranges*rangeBytes+pages*hashBytes != uint64(foot) {
		c.fail(16, "%d pages and %d ranges do not make an index of %d bytes", pages, ranges, foot+footerBytes)
	}
	if c.err != nil {
		c.err.offset += int64(foot)
		return nil, 0, c.err
	}
	return &pageIndex{pages: pages, zeros: zeros}, ranges, nil
}

// decodeRanges reads the ranges and holds them against the totals of the footer.
func (x *pageIndex) decodeRanges(b []byte) *decodeError {
	x.ranges = make([]pageRange, len(b)/rangeBytes)
	var stored, zeros, end uint64
	for i := range x.ranges {
		p := b[i*rangeBytes:]
		r := pageRange{first: binary.LittleEndian.Uint64(p), count: uint64(binary.LittleEndian.Uint32(p[8:])), position: stored}
		kind := binary.LittleEndian.Uint32(p[12:])
		r.zero = kind == rangeZero
		joined := i > 0 && r.first == end && x.ranges[i-1].zero == r.zero
		if kind > rangeZero || r.count == 0 || r.first < end || joined || r.first > MaxMemoryPages || r.end() > MaxMemoryPages {
			return &decodeError{int64(i * rangeBytes), fmt.Sprintf("range %d (page %d, count %d, kind %d) is out of order or bounds", i, r.first, r.count, kind)}
		}
		if r.zero {
			zeros += r.count
		} else {
			stored += r.count
		}
		end = r.end()
		x.ranges[i] = r
	}
	if stored != x.pages || zeros != x.zeros {
		return &decodeError{int64(len(b)) + int64(x.pages*hashBytes) + 16, fmt.Sprintf("ranges name %d stored and %d zero pages, the footer says %d and %d", stored, zeros, x.pages, x.zeros)}
	}
	return nil
}

// MaxMemoryPages keeps a range's count within its four bytes.
const _ = uint(math.MaxUint32 - MaxMemoryPages)
