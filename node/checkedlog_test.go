package node

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// entryDamages are single bits of an entry as it lies on a disk, and what an error says of each.
var entryDamages = []struct {
	part, want string
	flip       func(e *raft.Log)
}{
	{"index", "it says that it is entry", func(e *raft.Log) { e.Index ^= 1 << 40 }},
	{"term", "its checksum is not that", func(e *raft.Log) { e.Term ^= 1 }},
	{"type", "its checksum is not that", func(e *raft.Log) { e.Type ^= 1 }},
	{"data", "its checksum is not that", func(e *raft.Log) { e.Data[len(e.Data)/2] ^= 0x20 }},
	{"last byte", "its checksum is not that", func(e *raft.Log) { e.Data[len(e.Data)-1] ^= 1 }},
	{"checksum", "its checksum is not that", func(e *raft.Log) { e.Extensions[3] ^= 8 }},
	{"version", "it has no checksum", func(e *raft.Log) { e.Extensions[0] ^= 2 }},
	{"no checksum", "it has no checksum", func(e *raft.Log) { e.Extensions = nil }},
}

func TestCheckedLogNamesDamage(t *testing.T) {
	disk, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(t.TempDir(), raftFile), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	log := CheckedLog(disk)
	for _, kind := range []raft.LogType{raft.LogCommand, raft.LogConfiguration, raft.LogNoop, raft.LogBarrier} {
		for _, d := range entryDamages {
			entry := raft.Log{Index: 7, Term: 3, Type: kind, Data: []byte("what was written")}
			if err := log.StoreLog(&entry); err != nil {
				t.Fatal(err)
			}
			if entry.Extensions != nil {
				t.Fatal("the checksum is in raft's own entry: it would be sent to other replicas")
			}
			var got, raw raft.Log
			if err := log.GetLog(7, &got); err != nil || got.Term != 3 || got.Type != kind || !bytes.Equal(got.Data, entry.Data) || got.Extensions != nil {
				t.Fatalf("a sound entry: %+v, %v", got, err)
			}
			if err := disk.GetLog(7, &raw); err != nil {
				t.Fatal(err)
			}
			d.flip(&raw)
			at := &raw
			if raw.Index != 7 { // what lies at 7 says that it is another one
				at = &raft.Log{Index: 7}
			}
			if err := disk.StoreLog(at); err != nil {
				t.Fatal(err)
			}
			under := raft.LogStore(disk)
			if at != &raw {
				under = lyingIndex{disk, raw}
			}
			err := CheckedLog(under).GetLog(7, new(raft.Log))
			if !damagedEntry(err) || !unusable(err) || !strings.Contains(err.Error(), "log entry 7 is damaged: "+d.want) {
				t.Errorf("%v, %s: %v", kind, d.part, err)
			}
		}
	}
	if err := log.GetLog(8, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if err := log.StoreLog(&raft.Log{Index: 8, Extensions: []byte("x")}); err == nil {
		t.Error("extensions of somebody else were dropped without a word")
	}
}

// lyingIndex has an entry of another index where it is asked for one.
type lyingIndex struct {
	raft.LogStore
	entry raft.Log
}

func (l lyingIndex) GetLog(_ uint64, out *raft.Log) error {
	*out = l.entry
	return nil
}

// Damage ends the replica before raft has the entry, and in its place raft has one that says nothing.
func TestDamagedEntryIsNotReadOut(t *testing.T) {
	store := raft.NewInmemStore()
	var ended reasons
	log := &guardedLog{under: CheckedLog(store), stop: &ended}
	entries := []*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("members")}, {Index: 2, Term: 1, Data: []byte("round")}}
	if err := log.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
	var raw raft.Log
	if err := store.GetLog(1, &raw); err != nil {
		t.Fatal(err)
	}
	raw.Data = []byte("nembers")
	if err := store.StoreLog(&raw); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := log.GetLog(2, &got); err != nil || string(got.Data) != "round" || len(ended.all) != 0 {
		t.Errorf("entry 2: %v, %v, %v", got, err, ended.all)
	}
	if err := log.GetLog(3, &got); !errors.Is(err, raft.ErrLogNotFound) || len(ended.all) != 0 {
		t.Errorf("entry 3: %v, %v", err, ended.all)
	}
	if err := log.GetLog(1, &got); err != nil || got.Type != raft.LogNoop || len(ended.all) != 1 || !damagedEntry(ended.all[0]) {
		t.Errorf("entry 1: %v, %v, ended by %v", got, err, ended.all)
	}
}

// A wrong term at the checkpoint is damage; taken for a conflict, it would cut off what is committed.
func TestDamagedTermCutsNothingOff(t *testing.T) {
	store := raft.NewInmemStore()
	log := CheckedLog(store)
	for i := uint64(1); i <= 9; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: 3}); err != nil {
			t.Fatal(err)
		}
	}
	var raw raft.Log
	if err := store.GetLog(5, &raw); err != nil {
		t.Fatal(err)
	}
	raw.Term = 2
	if err := store.StoreLog(&raw); err != nil {
		t.Fatal(err)
	}
	if _, err := mendLog(log, raft.SnapshotMeta{Index: 5, Term: 3}); !damagedEntry(err) {
		t.Errorf("fit to the checkpoint: %v", err)
	}
	if err := (&conflict{index: 5, term: 3}).cut(log); !damagedEntry(err) {
		t.Errorf("cut: %v", err)
	}
	if last, err := log.LastIndex(); err != nil || last != 9 {
		t.Errorf("the log ends at %d, %v", last, err)
	}
}

// reasons keeps why a replica was ended.
type reasons struct{ all []error }

func (r *reasons) stop(err error) { r.all = append(r.all, err) }
