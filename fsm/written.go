package fsm

import (
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// namedMemory is a memory of a checkpoint as a version of the page store.
type namedMemory struct {
	name    string
	version memstore.Version
	root    pagetrie.Hash
}

// memories lists the memories of a state. Cost: a few a canister; their roots are known.
func (w *world) memories(s *State) []namedMemory {
	out := make([]namedMemory, 0, 3*len(s.canisters))
	for _, c := range s.canisters {
		for _, m := range []namedMemory{{name: memoryName(c.ID), version: c.State.Memory}, {name: stableName(c.ID), version: c.State.Stable},
			{name: codeName(c.ID), version: c.Code}} {
			m.root = m.version.Pages.Root(w.pages)
			out = append(out, m)
		}
	}
	return out
}

// wrote remembers the memories of the newest checkpoint that was written from this world, or that it was restored from. What the
// next one has to write is then the difference of two tries that share what did not change. Tries are kept, no pages: a
// handle of a page that is gone is never given out again, so it only says "another page".
func (w *sharedWorld) wrote(s *State) {
	names := map[string]namedMemory{}
	for _, m := range w.memories(s) {
		names[m.name] = m
	}
	w.newest.Store(&names)
}

// since are the memories that wrote has remembered, by name.
func (w *sharedWorld) since() map[string]namedMemory {
	if names := w.newest.Load(); names != nil {
		return *names
	}
	return nil
}
