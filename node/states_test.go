package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// TestStatesAreHeldWithinLimits: few states are held, each is read until it is given up, and nothing that is asked makes the node
// do more than a bounded piece of work.
func TestStatesAreHeldWithinLimits(t *testing.T) {
	c, client := startCounting(t, 1, 0, nil)
	for range 30 {
		c.add(client, "counter", 1)
	}
	addr := c.nodes[0].HTTPAddr()
	newest := c.nodes[0].Status()
	h, err := client.HoldState(c.ctx, addr, NewestRound)
	if err != nil || h.Round != newest.Round || h.Root != newest.Root || len(h.Canisters) != 1 {
		t.Fatalf("%+v, %v; the node says %+v", h, err, newest)
	}
	reply, err := h.ReadState(c.ctx, ReadRequest{Canisters: []uint64{1, 9}})
	if err != nil || len(reply.Canisters) != 1 || len(reply.Canisters[0].Memories) != 3 {
		t.Fatalf("%+v, %v", reply, err)
	}
	memory := reply.Canisters[0].Memories[0]
	before, err := h.Pages(c.ctx, memory.Name, []uint64{0, 1})
	if err != nil || len(before[0]) != 4096 || before[0][0] != 30 || len(before[1]) != 0 {
		t.Fatalf("page 0 of %+v: %v, %v", memory, before, err)
	}
	c.add(client, "counter", 1)
	if after, err := h.Pages(c.ctx, memory.Name, []uint64{0}); err != nil || string(after[0]) != string(before[0]) {
		t.Errorf("a held page changed: %v", err)
	}
	for range maxHeldStates - 1 {
		if _, err := client.HoldState(c.ctx, addr, newest.Round); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal := func(err error, code int, text string) {
		t.Helper()
		var failed *CallError
		if !errors.As(err, &failed) || failed.Code != code || !strings.Contains(failed.Reason, text) {
			t.Errorf("%v, want HTTP status %d with %q", err, code, text)
		}
	}
	_, err = client.HoldState(c.ctx, addr, newest.Round)
	wantRefusal(err, http.StatusTooManyRequests, "too many states are held")
	_, err = client.HoldState(c.ctx, addr, 1)
	wantRefusal(err, http.StatusConflict, fmt.Sprintf("rounds %d to %d are", newest.Round+2-16, newest.Round+2))
	_, err = h.Pages(c.ctx, memory.Name, make([]uint64, maxPartsRead+1))
	wantRefusal(err, http.StatusBadRequest, "at most")
	_, err = h.Pages(c.ctx, "canister-2", []uint64{0})
	wantRefusal(err, http.StatusBadRequest, `no memory "canister-2"`)
	_, err = h.ReadState(c.ctx, ReadRequest{Memory: memory.Name, Nodes: []NodeRef{{Key: 1 << 60, Depth: 200}}})
	wantRefusal(err, http.StatusBadRequest, "no node at depth 200")
	if err := h.Drop(c.ctx); err != nil {
		t.Error(err)
	}
	_, err = h.Pages(c.ctx, memory.Name, []uint64{0})
	wantRefusal(err, http.StatusNotFound, "is not held")
	wantRefusal(h.Drop(c.ctx), http.StatusNotFound, "is not held")

	for path, body := range map[string]string{"/v1/states?round=x": "", "/v1/states/2/read": "{", "/v1/states/3/read": `{"nonsense":1}`,
		"/v1/states/4/read": `{"pages":[` + strings.Repeat("0,", maxReadBody/2) + `0]}`} {
		response, err := http.Post(fmt.Sprintf("http://%s%s", addr, path), "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode < 400 || response.StatusCode > 413 || !json.Valid(text) {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestDamagedStateIsNotGiven: a page of a held state that is not what its checkpoint says is an error that names node, memory, page and
// file, and no panic of the handler.
func TestDamagedStateIsNotGiven(t *testing.T) {
	c := startCluster(t, 1, func(cfg *Config) { cfg.CheckpointEvery = 1 })
	client := c.client()
	code, _, err := testdata.Canister("memory")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := client.Install(c.ctx, "memory", code, nil); err != nil || r.Status != fsm.StatusReplied {
		t.Fatal(r, err)
	}
	if r, err := client.Update(c.ctx, "memory", "fill", []byte("area=1500 pages=1500")); err != nil || r.Status != fsm.StatusReplied {
		t.Fatal(r, err)
	}
	dir := t.TempDir()
	c.eventually("a checkpoint has it", func() bool { return c.nodes[0].Status().CheckpointsTaken >= 2 })
	c.stop(0)
	if err := os.CopyFS(dir, os.DirFS(c.cfgs[0].DataDir)); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	damageMemory(t, filepath.Join(dir, checkpointsDir), "canister-1")

	id, err := c.nodes[0].server.holds.add(restoredView(t, filepath.Join(dir, checkpointsDir)))
	if err != nil {
		t.Fatal(err)
	}
	h := &HeldState{client: client, addr: c.nodes[0].HTTPAddr()}
	h.ID = id
	for page := uint64(0); err == nil && page < 1500; page += maxPartsRead {
		var pages []uint64
		for i := range uint64(maxPartsRead) {
			pages = append(pages, page+i)
		}
		_, err = h.Pages(c.ctx, "canister-1", pages)
	}
	var failed *CallError
	if !errors.As(err, &failed) || failed.Code != http.StatusServiceUnavailable {
		t.Fatalf("a damaged page: %v", err)
	}
	for _, want := range []string{"node n1 can't read the state: memory canister-1, page ", ".pages is damaged at offset "} {
		if !strings.Contains(failed.Reason, want) {
			t.Errorf("%q does not say %q", failed.Reason, want)
		}
	}
}

// damageMemory changes a byte of a page of a memory in all checkpoints of a folder.
func damageMemory(t *testing.T, dir, memory string) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "checkpoint-*"))
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	damaged := map[string]bool{} // checkpoints share files
	for _, folder := range folders {
		c, err := snapshot.OpenDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.Memories {
			if m.Name != memory || len(m.Layers) == 0 {
				continue
			}
			if file := filepath.Base(m.Layers[len(m.Layers)-1].File.Name()); !damaged[file] {
				damageFiles(t, filepath.Dir(dir), file, func(size int) int { return size / 4 })
				damaged[file] = true
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// restoredView is the state of the newest of some checkpoints, of which nothing is verified before it is read.
func restoredView(t *testing.T, dir string) *fsm.StateView {
	t.Helper()
	store, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyOnUse})
	if err != nil {
		t.Fatal(err)
	}
	metas, err := store.List()
	if err != nil || len(metas) == 0 {
		t.Fatalf("checkpoints: %v, %v", metas, err)
	}
	checkpoint, err := store.OpenCheckpoint(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: compiled})
	if err != nil {
		t.Fatal(err)
	}
	machine, err := fsm.New(fsm.Config{Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(machine.Close(), checkpoint.Close(), store.Close()); err != nil {
			t.Error(err)
		}
		engine.Close()
	})
	if err := machine.RestoreCheckpoint(checkpoint); err != nil {
		t.Fatal(err)
	}
	view, err := machine.View(t.Context(), fsm.NewestRound)
	if err != nil {
		t.Fatal(err)
	}
	return view
}
