package fsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// damagedReplica restores a state from a checkpoint in which bytes of files with a suffix were changed, as fits hash wants.
func damagedReplica(t *testing.T, cfg Config, suffix string, change func(content []byte)) (r *replica, err error) {
	t.Helper()
	cfg.Engine = newEngine(t, canister.OptSpeed, sharedCache)
	first := newReplica(t, cfg)
	wantStatus(t, first.one(install(t, "memory")), StatusReplied)
	wantStatus(t, first.one(update("memory", "fill", "area=1500 pages=1500")), StatusReplied)
	first.checkpoint()
	if err := first.checkpoints.Close(); err != nil { // no merge puts another in its place
		t.Fatal(err)
	}
	dir := filepath.Join(first.dir, first.newest())
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	largest, size := "", int64(0)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Size() > size {
			largest, size = file, info.Size()
		}
	}
	content, err := os.ReadFile(largest)
	if err != nil {
		t.Fatal(err)
	}
	change(content)
	if err := errors.Join(os.Remove(largest), os.WriteFile(largest, content, 0o444)); err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.OpenStore(snapshot.Config{Dir: first.dir, Hashing: Hashing(), VerifyOnOpen: snapshot.VerifyOnUse})
	if err != nil {
		t.Fatal(err)
	}
	r = newReplica(t, cfg)
	r.checkpoints = store
	c, err := store.OpenCheckpoint(r.newest())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.index = first.index
	return r, errors.Join(CheckCheckpoint(c), r.RestoreCheckpoint(c))
}

// mustStop applies a round to a replica with a damaged state: it must end the machine, say so, and take the checkpoint out.
func mustStop(t *testing.T, r *replica, what string, err error) {
	t.Helper()
	if !snapshot.IsDamage(err) || !snapshot.IsDamage(r.Stopped()) {
		t.Errorf("%s: %v; the machine says %v", what, err, r.Stopped())
	}
	if metas, _ := r.checkpoints.List(); len(metas) != 0 {
		t.Errorf("%s: the checkpoint is still offered", what)
	}
}

// persistElsewhere writes all of the state into an empty folder.
func (r *replica) persistElsewhere() error {
	r.t.Helper()
	store, err := snapshot.OpenStore(snapshot.Config{Dir: r.t.TempDir(), Hashing: Hashing()})
	if err != nil {
		r.t.Fatal(err)
	}
	sink, err := store.Create(1, r.index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	taken, err := r.Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	defer taken.Release()
	return taken.Persist(sink)
}

// readAll reads every page of the memory as a comparison of live replicas does, and gives the error, which must name page and file.
func readAll(t *testing.T, r *replica) error {
	t.Helper()
	view, err := r.View(t.Context(), NewestRound)
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	memory, found := view.Memory(memoryName(1))
	if !found {
		t.Fatal("no memory")
	}
	for page := range memory.Pages.All() {
		if _, err = view.Page(memory, page); err != nil {
			if text := err.Error(); !strings.HasPrefix(text, fmt.Sprintf("page %d: ", page)) || !strings.Contains(text, ".pages is damaged at offset") {
				t.Errorf("page %d: %s", page, text)
			}
			break
		}
	}
	return err
}

// TestDamageIsFoundOnUse: what is damaged of a restored state never becomes part of an outcome.
func TestDamageIsFoundOnUse(t *testing.T) {
	pageOf := func(content []byte) { content[700*memstore.PageSize+9] ^= 4 }
	use := &Round{Time: 50, Messages: []Message{update("memory", "read", "area=1500 pages=1500")}}
	trackers := []memstore.Tracker{memstore.TrackerCow, memstore.TrackerPrefetch, memstore.TrackerAuto}
	for _, tracker := range trackers {
		r, err := damagedReplica(t, Config{Tracker: tracker}, ".pages", pageOf)
		if err != nil {
			t.Fatalf("tracker %s: restoring reads no pages of a memory, but: %v", tracker, err)
		}
		_, err = r.ApplyRound(r.index+1, use)
		mustStop(t, r, "a page, tracker "+string(tracker), err)
	}
	r, err := damagedReplica(t, Config{}, ".pages", pageOf)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Query(Query{Canister: "memory", Method: "scan", Arg: []byte("area=1500 pages=1500")})
	mustStop(t, r, "a page that a query reads", err)

	r, err = damagedReplica(t, Config{}, ".pages", pageOf)
	if err != nil {
		t.Fatal(err)
	}
	mustStop(t, r, "a page that a checkpoint reads", r.persistElsewhere())

	r, err = damagedReplica(t, Config{}, ".pages", pageOf)
	if err != nil {
		t.Fatal(err)
	}
	mustStop(t, r, "a page that is read for a comparison", readAll(t, r))

	r, err = damagedReplica(t, Config{}, ".pages", func(content []byte) { content[len(content)-5000] ^= 1 })
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ApplyRound(r.index+1, use)
	mustStop(t, r, "a page's hash", err)

	r, err = damagedReplica(t, Config{}, ".tree", func(content []byte) {
		for at := 16; at < len(content); at += 48 {
			if level := content[at+8]; level < pagetrie.TopLevel { // restoring reads the topmost ones
				content[at+20] ^= 1
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ApplyRound(r.index+1, use)
	mustStop(t, r, "a record of the tree", err)
}

// TestNoCheckpointOfADamagedState: between the moment that damage is found in the restored checkpoint, when the store sets it aside
// and has another one taken, and the machine's end, nothing is captured: whether the replica ends must not hang on which comes first.
func TestNoCheckpointOfADamagedState(t *testing.T) {
	r, err := damagedReplica(t, Config{}, ".pages", func(content []byte) { content[1400*memstore.PageSize] ^= 4 })
	if err != nil {
		t.Fatal(err)
	}
	if captured, err := r.Snapshot(); err != nil {
		t.Fatal(err)
	} else {
		captured.Release()
	}
	world, users := r.current.world, r.current.users
	for _, f := range world.files {
		err = errors.Join(err, f.memory.Prove(f.layer, Hashing(), func() bool { return false }))
	}
	if !snapshot.IsDamage(err) || r.Stopped() != nil {
		t.Fatalf("%v; the machine says %v", err, r.Stopped())
	}
	if _, err := r.Snapshot(); err == nil || !strings.Contains(err.Error(), world.checkpoint.ID+", which is damaged") {
		t.Errorf("captured: %v", err)
	}
	if n := r.current.users; n != users {
		t.Errorf("the state has %d users, had %d", n, users)
	}
}

// TestRestoredFilesAreProven: damage that nobody uses is found beside rounds.
func TestRestoredFilesAreProven(t *testing.T) {
	stopped := make(chan error, 1)
	cfg := Config{ProveRestored: true, OnStop: func(err error) { stopped <- err }}
	r, err := damagedReplica(t, cfg, ".pages", func(content []byte) { content[1400*memstore.PageSize] ^= 4 })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stopped:
		mustStop(t, r, "an unused page", err)
		if !strings.Contains(err.Error(), "verify restored state") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("not found")
	}
}
