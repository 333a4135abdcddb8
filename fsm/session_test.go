package fsm

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lockstep/pagetrie"
)

func mustPut(t *testing.T, table *sessionTable, round RoundNumber, s *session) {
	t.Helper()
	if err := table.put(round, s); err != nil {
		t.Fatal(err)
	}
}

// The table must behave like a map, its copies must not change, and its root must depend on its contents alone.
func TestSessionTableAgainstMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table sessionTable
	model := map[SessionID]uint64{}
	type past struct {
		table sessionTable
		root  pagetrie.Hash
		model map[SessionID]uint64
	}
	var history []past
	for round := RoundNumber(1); round <= 300; round++ {
		for range random.IntN(20) {
			id := SessionID(1 + random.IntN(9000))
			if _, open := model[id]; open && random.IntN(3) == 0 {
				table.remove(round, id)
				delete(model, id)
				continue
			}
			model[id] = random.Uint64()
			mustPut(t, &table, round, &session{ID: id, LastUse: model[id]})
		}
		if int(table.count) != len(model) {
			t.Fatalf("round %d: %d sessions, want %d", round, table.count, len(model))
		}
		clone := map[SessionID]uint64{}
		for id, use := range model {
			clone[id] = use
		}
		history = append(history, past{table, table.root(), clone})
	}
	for i, p := range history {
		if p.table.root() != p.root {
			t.Fatalf("copy of round %d has changed", i+1)
		}
		var fresh sessionTable
		for id, use := range p.model {
			mustPut(t, &fresh, 1, &session{ID: id, LastUse: use})
			if got := p.table.get(id); got == nil || got.LastUse != use {
				t.Fatalf("copy of round %d: session %d is %+v, want last use %d", i+1, id, got, use)
			}
		}
		if fresh.root() != p.root {
			t.Fatalf("round %d: the same sessions put in another order have another root", i+1)
		}
	}
}

func TestEmptiedSessionTableHasTheEmptyRoot(t *testing.T) {
	var table sessionTable
	mustPut(t, &table, 1, &session{ID: 5})
	if table.root() == (pagetrie.Hash{}) {
		t.Error("a session does not show in the root")
	}
	table.remove(2, 5)
	if got := table.root(); got != (pagetrie.Hash{}) {
		t.Errorf("root of an emptied table is %s", got)
	}
}

// The order derived from a table must be the one that was kept while the sessions were used.
func TestSessionOrderIsDerivedFromTheTable(t *testing.T) {
	var table sessionTable
	live := newSessionOrder(&table)
	random := rand.New(rand.NewPCG(3, 4))
	for use := range uint64(500) {
		id := SessionID(1 + random.IntN(60))
		mustPut(t, &table, 1, &session{ID: id, LastUse: use})
		live.used(id)
	}
	var fromLive, derived []SessionID
	restored := newSessionOrder(&table)
	for range table.count {
		fromLive = append(fromLive, live.oldest())
		derived = append(derived, restored.oldest())
	}
	if !slices.Equal(fromLive, derived) {
		t.Errorf("live order %v\nderived order %v", fromLive, derived)
	}
}
