package node

import (
	"testing"

	"github.com/hashicorp/raft"
)

// TestRequestsFromBeforeTheCheckpointBeginWithIt sends what a leader may that takes a follower to have less than it has: nothing, or an
// older checkpoint.
func TestRequestsFromBeforeTheCheckpointBeginWithIt(t *testing.T) {
	entries := func(first, last uint64) (list []*raft.Log) {
		for i := first; i <= last; i++ {
			list = append(list, &raft.Log{Index: i, Term: 2})
		}
		return list
	}
	log := raft.NewInmemStore()
	if err := log.StoreLogs(entries(11, 12)); err != nil {
		t.Fatal(err)
	}
	guard := &installGuard{log: log, base: func() *logBase { return &logBase{index: 10, term: 2} }}
	for name, c := range map[string]struct {
		prev, first, last uint64 // sent; no entries if last is below first
		wantPrev          uint64
		want              int // entries
	}{
		"from the first entry on":                   {0, 1, 12, 10, 2},
		"from the first entry on, not that far":     {0, 1, 6, 10, 0},
		"behind an older checkpoint":                {4, 5, 11, 10, 1},
		"behind an older checkpoint, nothing":       {4, 5, 4, 10, 0},
		"up to the checkpoint's last entry":         {9, 10, 10, 10, 0},
		"behind the checkpoint":                     {10, 11, 12, 10, 2},
		"behind an entry that follows it":           {11, 12, 12, 11, 1},
		"a heartbeat, which has no entry before it": {0, 1, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			sent := &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: c.prev, PrevLogTerm: 1, Entries: entries(c.first, c.last)}
			got := guard.onward(sent)
			if got.PrevLogEntry != c.wantPrev || len(got.Entries) != c.want {
				t.Fatalf("entry before %d and %d entries, want %d and %d", got.PrevLogEntry, len(got.Entries), c.wantPrev, c.want)
			}
			if c.want > 0 && got.Entries[0].Index != c.wantPrev+1 {
				t.Errorf("the first entry is %d, behind %d", got.Entries[0].Index, c.wantPrev)
			}
			if got != sent && got.PrevLogTerm != 2 {
				t.Errorf("term of the entry before: %d", got.PrevLogTerm)
			}
			if len(sent.Entries) != int(c.last+1-c.first) {
				t.Error("the request itself was changed")
			}
		})
	}
}
