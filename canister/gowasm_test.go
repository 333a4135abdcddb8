package canister

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lockstep/memstore"
)

// buildGo builds the Go canister once for all tests.
var buildGo = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gocanister")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "main.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "main.go")
	cmd.Dir = filepath.Join("testdata", "gocanister")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, text)
	}
	return os.ReadFile(out)
})

func goCanister(t *testing.T) []byte {
	t.Helper()
	wasm, err := buildGo()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func goSetup(engine EngineConfig, tracker memstore.Tracker) setup {
	s := plainSetup()
	s.engine, s.tracker = engine, tracker
	s.limits.Fuel = 2_000_000_000
	return s
}

func TestGoReactor(t *testing.T) {
	r := install(t, goSetup(allEngines[1], memstore.TrackerCompare), goCanister(t))
	want(t, r.update("add", "one two two"), Replied, "3")
	want(t, r.query("list", ""), Replied,
		"init:init=1 one=1 query=1 two=2 at 2000 (open /etc/passwd: Bad file number; 0 arguments)")
	want(t, r.update("parallel", ""), Replied, "285")
	before := r.root()
	out := r.update("panic", "") // Go ends so after printing
	if wanted := "unreachable; standard error: panic: assignment to entry in nil map"; out.Status != Trapped || !strings.HasPrefix(out.Text, wanted) {
		t.Errorf("got %v, want it to begin with %s", out, wanted)
	}
	if log := strings.Join(r.log, ""); !strings.Contains(log, "assignment to entry in nil map") {
		t.Errorf("log %q", log)
	}
	want(t, r.update("recurse", ""), Trapped, textStackExhausted)
	if r.root() != before {
		t.Error("failures changed the root")
	}
	want(t, r.query("list", ""), Replied,
		"init:init=1 one=1 query=1 sum=285 two=2 at 6000 (open /etc/passwd: Bad file number; 0 arguments)")
	want(t, r.update("sleep", ""), Replied, "rested")
	if out := r.query("list", ""); !strings.Contains(string(out.Reply), "at 10000") {
		t.Errorf("after a second's sleep: %s", out.Reply)
	}
	if a, b := r.update("random", ""), r.update("random", ""); string(a.Reply) == string(b.Reply) {
		t.Errorf("two messages drew the same random bytes %q", a.Reply)
	}
}

// TestGoReplicas gives one list of messages to replicas that differ in
// everything that may differ: tracker, compiler, and when they were restored.
func TestGoReplicas(t *testing.T) {
	first := install(t, goSetup(allEngines[0], memstore.TrackerNaive), goCanister(t))
	replicas := []*rig{first, install(t, goSetup(allEngines[1], memstore.TrackerPrefetch), goCanister(t))}
	methods := []string{"add", "random", "add", "panic", "parallel", "sleep", "recurse"}
	for i := range 42 {
		if i == 14 || i == 28 {
			s := goSetup(allEngines[0], []memstore.Tracker{memstore.TrackerCompare, memstore.TrackerPrefetch}[i/14-1])
			replicas = append(replicas, replicas[i/14-1].replica(s, replicas[i/14-1].State()))
		}
		method, arg := methods[i%len(methods)], fmt.Sprintf("word%d again", i)
		out, root := first.update(method, arg), first.root()
		for n, r := range replicas[1:] {
			if got := r.update(method, arg); got.String() != out.String() || string(got.Reply) != string(out.Reply) {
				t.Fatalf("message %d, %s: replica %d: %v, want %v", i, method, n+1, got, out)
			}
			if r.root() != root {
				t.Fatalf("message %d, %s: replica %d has another root", i, method, n+1)
			}
			if i%5 == 0 {
				r.query("list", "") // only here: it must leave nothing
				r.messages--
			}
		}
	}
}
