package memstore

import (
	"crypto/sha256"
	"encoding/binary"

	"lockstep/pagetrie"
)

const (
	// PageSize is the unit of tracking, storing and hashing, in bytes.
	PageSize = 4096
	// WasmPageSize is the unit of memory growth, in bytes.
	WasmPageSize = 65536

	pageShift       = 12
	pagesPerWasm    = WasmPageSize / PageSize
	chunkPages      = 512 // 2 MiB: what one page-table page maps, and the unit of bookkeeping
	chunkShift      = 9
	pageHashDomain  = "lockstep/page/1\n"
	versionHashHead = "lockstep/memory/1\n"
)

// PageIndex numbers the 4 KiB pages of a memory from 0.
type PageIndex uint64

// PageCount counts 4 KiB pages.
type PageCount uint64

// Bytes is the length of n pages in bytes.
func (n PageCount) Bytes() uint64 { return uint64(n) * PageSize }

// ByteOffset is a position in a memory, in bytes.
type ByteOffset uint64

// Page is the page that holds the offset.
func (o ByteOffset) Page() PageIndex { return PageIndex(o >> pageShift) }

// Version is an immutable value of a linear memory. The zero Version is a memory of no pages.
//
// Its handles stay readable as long as it is the newest version of its memory, or as long as a Pin from that time is
// held; see Store.Pin.
type Version struct {
	// Size is the memory's length in 4 KiB pages, a multiple of 16.
	Size PageCount
	// Pages maps a page index to the handle of its contents. Absent pages are zero. Keys are below Size.
	Pages pagetrie.Map

	rows *rows // of Pages, where they are known without looking at it
}

// Row is a run of pages that have a run of handles.
type Row struct {
	Start PageIndex
	Count PageCount
	First pagetrie.Value // the handle of page Start
}

// rows are what a map has, run by run.
type rows struct {
	pages pagetrie.Map
	each  func(yield func(Row) bool)
}

// Known is v with its rows, ascending and all that v.Pages has: a Memory that is attached to v then looks at the rows, of
// which a checkpoint has few, and not at the map.
func (v Version) Known(each func(yield func(Row) bool)) Version {
	v.rows = &rows{v.Pages, each}
	return v
}

// eachRow yields the rows of v.
func (v Version) eachRow(yield func(Row) bool) {
	if v.rows != nil && v.rows.pages == v.Pages {
		v.rows.each(yield)
		return
	}
	for k, h := range v.Pages.All() {
		if !yield(Row{PageIndex(k), 1, h}) {
			return
		}
	}
}

// Root is the hash of the memory: its size and all its pages. Two versions have the same root exactly when their sizes
// and bytes are the same. Costs as much as the trie nodes and pages that were not hashed before.
func (v Version) Root(h pagetrie.Hasher) pagetrie.Hash {
	trie := v.Pages.Root(h)
	var b [len(versionHashHead) + 8 + len(trie)]byte
	n := copy(b[:], versionHashHead)
	binary.BigEndian.PutUint64(b[n:], uint64(v.Size))
	copy(b[n+8:], trie[:])
	return sha256.Sum256(b[:])
}

// PageRun is a run of pages: those from Start on, below End.
type PageRun struct{ Start, End uint32 }

func (r PageRun) pages() int { return int(r.End - r.Start) }

// appendRun adds [start, end) to ascending runs, joining it with the last one where they touch.
// Preconditions: start is not below the start of the last run.
func appendRun(runs []PageRun, start, end uint32) []PageRun {
	if start >= end {
		return runs
	}
	if n := len(runs); n > 0 && start <= runs[n-1].End {
		runs[n-1].End = max(runs[n-1].End, end)
		return runs
	}
	return append(runs, PageRun{start, end})
}

func countPages(runs []PageRun) (n int) {
	for _, r := range runs {
		n += r.pages()
	}
	return n
}

// bitset is a fixed set of small integers.
type bitset []uint64

func newBitset(n int) bitset       { return make(bitset, (n+63)/64) }
func (b bitset) has(i uint32) bool { return b[i>>6]>>(i&63)&1 != 0 }
func (b bitset) set(i uint32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) clear(i uint32)    { b[i>>6] &^= 1 << (i & 63) }
