package chaos

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/chaos/workload"
	"lockstep/node"
	"lockstep/testdata"
)

// fullLog is a log on a disk that has no room for a module.
type fullLog struct{ raft.LogStore }

func (l fullLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l fullLog) StoreLogs(entries []*raft.Log) error {
	for _, entry := range entries {
		if entry.Type == raft.LogCommand {
			return errPlantedFull
		}
	}
	return l.LogStore.StoreLogs(entries)
}

// A start at which replicas fail ends at once, with their reasons, and not when the installation has been tried for long.
func TestStartEndsWhenReplicasFail(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	v, err := Run(t.Context(), runConfig(t, "full"))
	if err == nil {
		t.Fatalf("got %+v", v)
	}
	for _, want := range []string{"the cluster could not be started: replica n", "failed: storage failed: write log entries", errPlantedFull.Error()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not say %q: %v", want, err)
		}
	}
}

// Why a replica ended is known even when nothing can be written to its log file.
func TestLastWordsOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	o := &output{log: full}
	for _, text := range []string{strings.Repeat("chatter\n", 3*tailMost/8), "error: no space", " left\n", "goodbye\n"} {
		if n, err := o.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("wrote %d of %d: %v", n, len(text), err)
		}
	}
	if got := lastWords(o.tail); got != "no space left" {
		t.Errorf("last words are %q", got)
	}
	if len(o.tail) > 2*tailMost {
		t.Errorf("%d bytes are kept", len(o.tail))
	}
}

// What the cluster has need not be given again; what it has not comes from Lockstep, or is asked for.
func TestNeededCanisters(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := filepath.Join(t.TempDir(), "c")
	c := runConfig(t, "well")
	c.Cluster.Dir, c.Rounds = dir, 5
	if v, err := Run(t.Context(), c); err != nil || v.Judgement != Agreed {
		t.Fatalf("got %+v, %v", v, err)
	}
	if !HasCluster(dir) || HasCluster(t.TempDir()) {
		t.Error("HasCluster is wrong")
	}
	c.Modules, c.Needed = nil, []string{"counter", "kv"}
	var used Equipment
	c.Ready = func(e Equipment) { used = e }
	if v, err := Run(t.Context(), c); err != nil || v.Judgement != Agreed {
		t.Errorf("got %+v, %v", v, err)
	}
	if used.Tracker == "" || used.OptLevel == "" {
		t.Errorf("got %+v", used)
	}
	c.Needed = []string{"nobody"}
	_, _, missing := testdata.Canister("nobody")
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), missing.Error()) {
		t.Errorf("got %v", err)
	}
}

// TestLookForCanister: a replica that was killed does not keep the others from telling what they have.
func TestLookForCanister(t *testing.T) {
	m := workload.Module{Name: "m", Hash: canister.ModuleHash{1}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(node.StatusReport{State: node.StateRunning, Canisters: []node.CanisterReport{{Name: "m", Module: m.Hash.String()}}})
	}))
	defer server.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	member := func(s *httptest.Server) Member { return Member{HTTP: s.Listener.Addr().String()} }
	for _, c := range []struct {
		members []Member
		found   bool
		fails   string
	}{
		{[]Member{member(dead), member(server)}, true, ""},
		{[]Member{member(server), member(dead)}, true, ""},
		{[]Member{member(dead), member(dead)}, false, "look for canister m"},
	} {
		r, err := newRemote(c.members)
		if err != nil {
			t.Fatal(err)
		}
		found, err := r.has(t.Context(), m)
		r.close()
		if found != c.found || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%v: %v, %v", c.members, found, err)
		}
	}
}
