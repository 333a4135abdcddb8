package fsm

import (
	"fmt"
	"iter"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// countingSink counts what the checkpoint writer looks at in a state.
type countingSink struct {
	*snapshot.Sink
	pages, changes int // yielded by Memory.Pages, by Memory.Changes
}

func (k *countingSink) WriteState(st snapshot.State) error {
	count := func(n *int, list iter.Seq2[uint64, snapshot.Page]) iter.Seq2[uint64, snapshot.Page] {
		if list == nil {
			return nil
		}
		return func(yield func(uint64, snapshot.Page) bool) {
			list(func(page uint64, p snapshot.Page) bool {
				*n++
				return yield(page, p)
			})
		}
	}
	for i := range st.Memories {
		m := &st.Memories[i]
		m.Pages, m.Changes = count(&k.pages, m.Pages), count(&k.changes, m.Changes)
	}
	return k.Sink.WriteState(st)
}

func write(pages, at int) Message {
	return update("memory", "sequential", fmt.Sprintf("area=2000 pages=%d at=%d seed=%d", pages, at, pages))
}

// TestPersistCostsWhatChanged: after the first checkpoint only pages that changed are looked at, also after a restart.
func TestPersistCostsWhatChanged(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(install(t, "memory")), StatusReplied)
	wantStatus(t, r.one(write(2000, 0)), StatusReplied)
	if pages, _ := r.checkpoint(); pages < 2000 {
		t.Fatalf("the first checkpoint looked at %d pages", pages)
	}
	look := func(changed int) {
		t.Helper()
		wantStatus(t, r.one(write(changed, 100+changed)), StatusReplied)
		changedPages := 0
		for c := range pagetrie.Diff(r.current.world.since()[memoryName(1)].version.Pages, r.current.state.canisters[0].State.Memory.Pages) {
			_ = c
			changedPages++
		}
		pages, changes := r.checkpoint()
		if small := 64; pages > small || changes < changed || changes > 2*(changedPages+1) || changedPages > changed+8 {
			t.Errorf("after %d changed pages %d of the memory and %d of a list of changes were looked at", changed, pages, changes)
		}
	}
	look(5)
	look(300)
	look(1)
	if err := r.Restore(r.openNewest()); err != nil {
		t.Fatal(err)
	}
	look(7)
	if err := r.Restore(r.openNewest()); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotReadsNothing: capturing a state on the apply goroutine allocates one small value, and reads nothing of the state: it
// works on one whose canisters, sessions and page store are not there at all.
func TestSnapshotReadsNothing(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	for _, pages := range []int{1, 2000} {
		if pages == 1 {
			wantStatus(t, r.one(install(t, "memory")), StatusReplied)
		}
		wantStatus(t, r.one(write(pages, 0)), StatusReplied)
		before := r.pages.Stats()
		var captured []raft.FSMSnapshot
		allocations := testing.AllocsPerRun(10, func() {
			c, err := r.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			captured = append(captured[:0], c)
			r.current.users-- // as Release, which raft calls elsewhere
		})
		if after := r.pages.Stats(); allocations > 1 || after != before {
			t.Errorf("%d pages: %v allocations, page store %+v, before %+v", pages, allocations, after, before)
		}
	}
	real := r.current
	r.current = &published{world: real.world, users: 1}
	c, err := r.Snapshot()
	if err != nil || c.(*capture).published != r.current || r.current.users != 2 {
		t.Errorf("captured %+v, %v", c, err)
	}
	r.current = real
}
