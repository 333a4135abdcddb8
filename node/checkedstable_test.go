package node

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// Of the term, the vote, and what lies beside them, every flipped bit is found where the value is read, and every value that is gone,
// or lies under another's name, when a replica starts.
func TestCheckedStableFindsDamage(t *testing.T) {
	disk := raft.NewInmemStore()
	stable := CheckedStable(disk)
	values := map[string][]byte{string(termKey): {0, 0, 0, 0, 0, 0, 0, 9}, string(voteTermKey): {0, 0, 0, 0, 0, 0, 0, 9},
		string(voteKey): []byte("n2"), string(installedKey): {0, 0, 0, 0, 0, 0, 2, 0}}
	for key, value := range values {
		if err := stable.Set([]byte(key), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := foundStable(stable, true); err != nil {
		t.Fatal(err)
	}
	if term, err := stable.GetUint64(termKey); err != nil || term != 9 {
		t.Fatal(term, err)
	}
	if candidate, err := stable.Get(voteKey); err != nil || string(candidate) != "n2" {
		t.Fatal(candidate, err)
	}
	for key := range values {
		sealed, err := disk.Get([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		damaged := [][]byte{sealed[:len(sealed)-1], append(sealed[:len(sealed):len(sealed)], 0), sealed[:stableSealSize-1]}
		for bit := range len(sealed) * 8 {
			d := append([]byte(nil), sealed...)
			d[bit/8] ^= 1 << (bit % 8)
			damaged = append(damaged, d)
		}
		for other := range values {
			if other != key {
				d, _ := disk.Get([]byte(other))
				damaged = append(damaged, d)
			}
		}
		for _, d := range damaged {
			if err := disk.Set([]byte(key), d); err != nil {
				t.Fatal(err)
			}
			var damage *StableError
			if _, err := stable.Get([]byte(key)); !errors.As(err, &damage) || damage.Key != key {
				t.Errorf("%s as %x: %v", key, d, err)
			}
			if err := foundStable(stable, true); !unusable(err) || !damagedEntry(err) {
				t.Errorf("%s as %x: a replica starts: %v", key, d, err)
			}
		}
		if err := disk.Set([]byte(key), sealed); err != nil {
			t.Fatal(err)
		}
	}
	for gone := range values {
		left := raft.NewInmemStore()
		for key, value := range values {
			if key != gone {
				_ = CheckedStable(left).Set([]byte(key), value)
			}
		}
		if err := foundStable(CheckedStable(left), true); !damagedEntry(err) || !strings.Contains(err.Error(), gone+" beside the log is damaged: it is gone") {
			t.Errorf("without %s: %v", gone, err)
		}
	}
}

// The first values are there before the first term, whenever a start was cut short, and say nothing.
func TestFirstValuesBesideTheLog(t *testing.T) {
	disk := raft.NewInmemStore()
	stable := CheckedStable(disk)
	if err := stable.Set(voteKey, nil); err != nil { // what a start before left
		t.Fatal(err)
	}
	for range 2 {
		if err := foundStable(stable, false); err != nil {
			t.Fatal(err)
		}
	}
	if term, err := stable.GetUint64(voteTermKey); err != nil || term != 0 {
		t.Error(term, err)
	}
	if at, err := stable.GetUint64(installedKey); err != nil || at != 0 {
		t.Error(at, err)
	}
	if _, err := stable.GetUint64(termKey); !isMissing(err) {
		t.Errorf("a term: %v", err)
	}
	if err := foundStable(stable, true); !damagedEntry(err) {
		t.Errorf("a log without a term: %v", err)
	}
}

// A replica whose vote was damaged or lost votes for nobody until it was sent the state; one that has no others refuses to start.
func TestDamagedVoteIsSetAside(t *testing.T) {
	damages := map[string]func(conf *bbolt.Bucket) error{
		"its checksum is another one": func(conf *bbolt.Bucket) error {
			sealed := append([]byte(nil), conf.Get(voteTermKey)...)
			sealed[len(sealed)-1] ^= 1
			return conf.Put(voteTermKey, sealed)
		},
		"it is gone": func(conf *bbolt.Bucket) error { return conf.Delete(voteKey) },
	}
	for want, damage := range damages {
		for _, nodes := range []int{3, 1} {
			c := startCluster(t, nodes, nil)
			client := c.client()
			c.install(client, "counter")
			c.add(client, "counter", 3)
			c.agree()
			victim := 0
			if nodes > 1 {
				victim = c.follower()
			}
			c.stop(victim)
			damageStable(t, c.cfgs[victim].DataDir, damage)
			if nodes == 1 {
				n, err := Start(c.cfgs[victim])
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "put a sound copy of the data folder in its place") {
					t.Errorf("got %v, %v, want %q", n, err, want)
				}
				continue
			}
			c.start(victim)
			c.add(client, "counter", 1)
			c.agree()
			if s := c.nodes[victim].Status(); s.State != StateRunning || !strings.Contains(s.SetAside, want) {
				t.Errorf("status: %s, set aside %q, want %q", s.State, s.SetAside, want)
			}
		}
	}
}

// damageStable changes what lies beside a stopped node's log.
func damageStable(t *testing.T, dir string, change func(conf *bbolt.Bucket) error) {
	t.Helper()
	path := filepath.Join(dir, raftFile)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte("conf"))) }); err != nil {
		t.Fatal(err)
	}
}
