//go:build cgo

package plant

import (
	"slices"
	"strings"
	"sync"

	"lockstep/chaos/sim"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// tracked makes the layers of a bug in how a replica's memories are tracked. make is called for every life of a replica, what it gives
// for every memory whose effects are kept; nil leaves the replica as it is.
func tracked(make func(replica int) layer) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Tracking: func(replica int, under memstore.Tracking) memstore.Tracking {
			if l := make(replica); l != nil {
				return &tracking{under, l}
			}
			return under
		}}
	}
}

// layer puts itself around the mechanism of a memory that is about to be attached.
type layer func(m *memstore.Memory, c memstore.MemoryConfig, under memstore.Mechanism) memstore.Mechanism

type tracking struct {
	under memstore.Tracking
	layer layer
}

// Track implements memstore.Tracking.
func (t *tracking) Track(m *memstore.Memory, c memstore.MemoryConfig) (memstore.Mechanism, error) {
	under, err := t.under.Track(m, c)
	if err != nil || c.Query {
		return under, err
	}
	return t.layer(m, c, under), nil
}

// finding is a mechanism that finds other pages. change gets what was found, as single pages.
type finding struct {
	memstore.Mechanism
	change func(found []uint32) []uint32
}

// Collect implements memstore.Mechanism.
func (f *finding) Collect(runs []memstore.PageRun) ([]memstore.PageRun, error) {
	runs, err := f.Mechanism.Collect(runs)
	if err != nil {
		return nil, err
	}
	var pages []uint32
	for _, r := range runs {
		for page := r.Start; page < r.End; page++ {
			pages = append(pages, page)
		}
	}
	runs = runs[:0]
	for _, page := range f.change(pages) {
		runs = append(runs, memstore.PageRun{Start: page, End: page + 1})
	}
	return runs, nil
}

// finds makes a bug of one replica in what the tracker finds; make is called for every memory.
func finds(of int, make func() func(found []uint32) []uint32) func() *sim.Seams {
	return tracked(func(replica int) layer {
		if replica != of {
			return nil
		}
		return func(_ *memstore.Memory, _ memstore.MemoryConfig, under memstore.Mechanism) memstore.Mechanism {
			return &finding{under, make()}
		}
	})
}

// missing leaves out the last page that a message wrote, every sixtieth time.
func missing() func([]uint32) []uint32 {
	messages := 0
	return func(pages []uint32) []uint32 {
		if messages++; messages%60 != 0 || len(pages) == 0 {
			return pages
		}
		return pages[:len(pages)-1]
	}
}

// oldestLast merges, every fiftieth time, what a message wrote with what the one before it wrote, in the wrong order: of a page that
// both have, the version keeps what the older one left.
func oldestLast() func([]uint32) []uint32 {
	messages, older := 0, []uint32(nil)
	return func(pages []uint32) []uint32 {
		newer := slices.Clone(pages)
		if messages++; messages%50 == 0 {
			pages = slices.DeleteFunc(pages, func(page uint32) bool { return slices.Contains(older, page) })
		}
		older = newer
		return pages
	}
}

// keeping is a mechanism that puts nothing back.
type keeping struct{ memstore.Mechanism }

// Rollback implements memstore.Mechanism.
func (*keeping) Rollback() error { return nil }

// laying is a mechanism that lays another version than it is told to.
type laying struct {
	memstore.Mechanism
	memory *memstore.Memory
	other  func(memstore.Version) (memstore.Version, error)
}

// Attach implements memstore.Mechanism.
func (l *laying) Attach() error {
	if err := l.Mechanism.Attach(); err != nil {
		return err
	}
	v, err := l.other(l.memory.Version())
	if err != nil {
		return err
	}
	return l.memory.Advance(v)
}

// restored reports whether a memory is one that a checkpoint gives.
func restored(c *memstore.MemoryConfig) bool { return c.Like == nil && c.Version.Pages.Len() > 0 }

// leaving is a restore that maps a checkpoint's pages over the memory that there was, and leaves what is not in the checkpoint. It
// is for one canister.
func leaving(int) layer {
	var mu sync.Mutex
	var last *memstore.Memory // of the state that is replaced
	var pages *memstore.Store // its pages
	return func(m *memstore.Memory, c memstore.MemoryConfig, under memstore.Mechanism) memstore.Mechanism {
		mu.Lock()
		defer mu.Unlock()
		before, from := last, pages
		last, pages = m, c.Store
		if before == nil || !restored(&c) {
			return under
		}
		return &laying{under, m, func(v memstore.Version) (memstore.Version, error) {
			edit := v.Pages.Edit()
			for page, handle := range before.Version().Pages.All() {
				if _, there := v.Pages.Get(page); there || page >= uint64(v.Size) {
					continue
				}
				left, err := c.Store.Add(from.Page(handle))
				if err != nil {
					return v, err
				}
				edit.Insert(page, left)
			}
			return memstore.Version{Size: v.Size, Pages: edit.Map()}, nil
		}}
	}
}

// halfway is a restore that lays the lower half of a memory's pages and says that it has laid them all.
func halfway(int) layer {
	return func(m *memstore.Memory, c memstore.MemoryConfig, under memstore.Mechanism) memstore.Mechanism {
		if !restored(&c) {
			return under
		}
		return &laying{under, m, func(v memstore.Version) (memstore.Version, error) {
			half, left := pagetrie.Map{}.Edit(), v.Pages.Len()/2
			for page, handle := range v.Pages.All() {
				if left == 0 {
					break
				}
				left--
				half.Insert(page, handle)
			}
			return memstore.Version{Size: v.Size, Pages: half.Map()}, nil
		}}
	}
}

// zeroed is the usual cluster with a canister whose pages become zero and are written again, small one with messages that trap.
var (
	zeroed = strings.Replace(usual, "name=uniform", "name=zeroed", 1)
	small  = strings.Replace(usual, "name=uniform", "name=small", 1)
)

var memoryPlants = []Plant{
	{Name: "missed-write", Doc: "one replica's tracker misses a page that a message wrote: no version ever has what was written.",
		Expect: []string{agreement}, seams: finds(1, missing)},
	{Name: "merge-oldest-last", Doc: "the pages of two messages are merged the older over the newer.", Expect: []string{agreement}, seams: finds(1, oldestLast)},
	{Name: "rollback-skipped", Doc: "one replica puts nothing back of the memory that a failed message has written.", Expect: []string{agreement},
		shape: small, seams: tracked(func(replica int) layer {
			if replica != 3 { // the one that compares all of a memory after the next message
				return nil
			}
			return func(_ *memstore.Memory, _ memstore.MemoryConfig, under memstore.Mechanism) memstore.Mechanism {
				return &keeping{under}
			}
		})},
	{Name: "restore-leaves-absent-pages", Doc: "a restore maps the pages of a checkpoint and leaves those that are not in it as they were.",
		Expect: []string{agreement}, shape: zeroed, faults: cutUntilCompacted, seams: tracked(leaving)},
	{Name: "restore-half-done", Doc: "a restore ends after half of a memory's pages and says that it is whole.",
		Expect: []string{agreement}, faults: killed, seams: tracked(halfway)},
}
