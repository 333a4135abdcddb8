package canister

import (
	"bytes"
	"maps"
	"slices"

	"lockstep/canister/systemapi"
	"lockstep/memstore"
)

// maxStableWrites bounds the pages of stable memory that one execution may
// write, which it holds in the heap until it ends: 512 MiB.
const maxStableWrites = 512 << 20 / memstore.PageSize

// stableMemory is a canister's stable memory as an execution sees it: a
// version, and above it the pages that the execution wrote. It costs as much as
// the pages that are touched.
type stableMemory struct {
	store   *memstore.Store
	limit   uint64           // 64 KiB pages
	base    memstore.Version // with which the execution began
	pages   uint64           // 64 KiB pages now
	written map[memstore.PageIndex]*stablePage
}

type stablePage [memstore.PageSize]byte

var zeroPage stablePage

func newStableMemory(c Config) *stableMemory {
	return &stableMemory{store: c.Store, limit: c.Limits.StableBytes / memstore.WasmPageSize}
}

// begin starts over from a version: what was written before is forgotten.
func (s *stableMemory) begin(v memstore.Version) {
	*s = stableMemory{store: s.store, limit: s.limit, base: v, pages: uint64(v.Size / perWasmPage)}
}

// takeOver moves another's version and writes here.
func (s *stableMemory) takeOver(from *stableMemory) {
	s.base, s.pages, s.written = from.base, from.pages, from.written
	from.begin(from.base)
}

// Pages is the size now, in 64 KiB pages.
func (s *stableMemory) Pages() uint64 { return s.pages }

// Grow adds pages, unless the limit forbids it.
func (s *stableMemory) Grow(pages uint64) bool {
	if s.pages > s.limit || pages > s.limit-s.pages {
		return false
	}
	s.pages += pages
	return true
}

// page is the contents of a page now.
func (s *stableMemory) page(i memstore.PageIndex) []byte {
	if p := s.written[i]; p != nil {
		return p[:]
	}
	return s.before(i)
}

// before is the contents that a page had at the beginning.
func (s *stableMemory) before(i memstore.PageIndex) []byte {
	if h, ok := s.base.Pages.Get(uint64(i)); ok {
		return s.store.Page(h)
	}
	return zeroPage[:]
}

// Read copies bytes out.
func (s *stableMemory) Read(dst []byte, offset uint64) {
	for len(dst) > 0 {
		page := s.page(memstore.ByteOffset(offset).Page())
		n := copy(dst, page[offset%memstore.PageSize:])
		dst, offset = dst[n:], offset+uint64(n)
	}
}

// Write copies bytes in.
func (s *stableMemory) Write(offset uint64, src []byte) error {
	if s.written == nil {
		s.written = make(map[memstore.PageIndex]*stablePage)
	}
	for len(src) > 0 {
		i := memstore.ByteOffset(offset).Page()
		p := s.written[i]
		if p == nil {
			if len(s.written) == maxStableWrites {
				return systemapi.Trap("more than 512 MiB of stable memory written in one execution")
			}
			p = new(stablePage)
			copy(p[:], s.before(i))
			s.written[i] = p
		}
		n := copy(p[offset%memstore.PageSize:], src)
		src, offset = src[n:], offset+uint64(n)
	}
	return nil
}

// commit makes a version of what there is now, and retires the pages that it
// replaces.
func (s *stableMemory) commit() (memstore.Version, error) {
	next := memstore.Version{Size: memstore.PageCount(s.pages) * perWasmPage, Pages: s.base.Pages}
	edit := next.Pages.Edit()
	changed := false
	for _, i := range slices.Sorted(maps.Keys(s.written)) {
		page := s.written[i][:]
		if bytes.Equal(page, s.before(i)) {
			continue
		}
		changed = true
		if bytes.Equal(page, zeroPage[:]) {
			edit.Remove(uint64(i))
			continue
		}
		h, err := s.store.Add(page)
		if err != nil {
			return memstore.Version{}, err
		}
		edit.Insert(uint64(i), h)
	}
	if changed {
		next.Pages = edit.Map()
		s.store.Supersede(s.base, next)
	}
	s.begin(next)
	return next, nil
}
