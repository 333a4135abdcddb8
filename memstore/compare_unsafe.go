//go:build cgo

package memstore

import (
	"unsafe"

	"lockstep/memstore/internal/pagecmp"
)

const (
	lineShift = 6 // of the processor's caches
	lineSize  = 1 << lineShift
	pageLines = pagecmp.Lines
	// compareBatch is how many pages are looked up and peeked at before the first is compared as a whole, so that their
	// cache misses overlap.
	compareBatch = 32
)

// batch is some pages on their way through a comparison.
type batch struct {
	n     int
	page  [compareBatch]uint32
	live  [compareBatch]uintptr
	old   [compareBatch]uintptr
	peek  [compareBatch]uint64 // not 0: the pages differ in the line where they differed last
	equal [compareBatch]bool

	searched int // pages that differed elsewhere than where they were looked at first
}

// compareBatched appends the pages of b that differ, and notes where they do.
func (m *Memory) compareBatched(b *batch, changed []PageIndex) []PageIndex {
	for k, i := range b.page[:b.n] {
		b.live[k], b.old[k] = m.addr(i), m.oldAddr(i)
	}
	for k, i := range b.page[:b.n] { // no branch depends on these loads, so they do not wait for each other
		at := uintptr(*m.line(i)) * lineSize
		b.peek[k] = lineXor(b.live[k]+at, b.old[k]+at)
	}
	for k := range b.n {
		b.equal[k] = b.peek[k] == 0
	}
	for k := 0; k < b.n; k++ {
		if b.equal[k] {
			next := min(k+1, b.n-1)
			if line := difference(b.live[k], b.old[k], b.live[next], b.old[next]); line < pageLines {
				b.equal[k] = false
				b.searched++
				*m.line(b.page[k]) = uint8(line)
			}
		}
		if !b.equal[k] {
			changed = append(changed, PageIndex(b.page[k]))
		}
	}
	b.n = 0
	return changed
}

// fewLines is how many entries the table of lines begins with, a power of two.
const fewLines = 4096

// line is the entry of a page in the table of lines.
func (m *Memory) line(i uint32) *uint8 { return &m.lines[i&uint32(len(m.lines)-1)] }

// ownLines gives every tracked page an entry of its own, so that workers write to different ones.
func (m *Memory) ownLines() {
	n := len(m.lines)
	for n < int(m.size) {
		n *= 2
	}
	if n > len(m.lines) {
		m.lines = make([]uint8, n)
	}
}

// oldAddr is where the page's bytes in the memory's version are.
func (m *Memory) oldAddr(i uint32) uintptr {
	if h := m.handle(i); h != 0 {
		return m.store.arena.slotAddr(m.store.check(h))
	}
	return addrOf(zeroPage[:])
}

// lineXor is 0 if two lines are equal.
func lineXor(a, b uintptr) (x uint64) {
	p, q := (*[8]uint64)(pointerTo(a)), (*[8]uint64)(pointerTo(b))
	for i := range p {
		x |= p[i] ^ q[i]
	}
	return x
}

// difference is the first line in which the pages at a and b differ, or pageLines.
func difference(a, b, nextA, nextB uintptr) int {
	return pagecmp.First((*byte)(pointerTo(a)), (*byte)(pointerTo(b)), (*byte)(pointerTo(nextA)), (*byte)(pointerTo(nextB)))
}

// pointerTo is an address outside the Go heap, or of a package's variable.
func pointerTo(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
