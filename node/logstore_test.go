package node

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// reasons keeps why a replica was ended.
type reasons struct{ all []error }

func (r *reasons) stop(err error) { r.all = append(r.all, err) }

// A round that was damaged in the log ends the replica before raft has it: a leader would send it to a follower that lags.
func TestDamagedEntryIsNotReadOut(t *testing.T) {
	store := raft.NewInmemStore()
	round, err := (&fsm.Round{Time: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), round...)
	damaged[len(damaged)-1] ^= 4
	entries := []*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration}, {Index: 2, Term: 1, Data: round}, {Index: 3, Term: 1, Data: damaged}}
	if err := store.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
	var ended reasons
	log := &guardedLog{under: store, stop: &ended}
	for index := uint64(1); index <= 4; index++ {
		var got raft.Log
		err := log.GetLog(index, &got)
		switch index {
		case 3:
			if err != nil || got.Type != raft.LogNoop || len(ended.all) != 1 || !errors.Is(ended.all[0], fsm.ErrBadRound) {
				t.Errorf("entry 3: %v, %v, ended by %v", got, err, ended.all)
			}
		case 4:
			if !errors.Is(err, raft.ErrLogNotFound) {
				t.Errorf("entry 4: %v", err)
			}
		default:
			if err != nil || got.Index != index || len(ended.all) != 0 {
				t.Errorf("entry %d: %v, %v, %v", index, got, err, ended.all)
			}
		}
	}
}
