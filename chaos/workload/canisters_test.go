package workload

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/testdata"
)

// A step is one message of a story and its end: the reply, or "status: text"; a * at its end stands for anything.
type step struct{ kind, method, arg, want string }

// A compiled module with what it runs on, shared by the rehearsals of one test.
type compiled struct {
	engine *canister.Engine
	module *canister.Module
	limits canister.Limits
}

// A rehearsal is one canister on its own, installed and ready for messages.
type rehearsal struct {
	t      *testing.T
	config canister.Config
	module *canister.Module
	live   *canister.Canister
	round  uint64
	called map[string]bool // "update put"
}

// embeddedModule returns an embedded canister in binary form.
func embeddedModule(t *testing.T, name string) []byte {
	t.Helper()
	module, file, err := testdata.Canister(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".wat") {
		if module, err = canister.ParseWAT(module); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return module
}

func compile(t *testing.T, wasm []byte) compiled {
	t.Helper()
	c := compiled{limits: canister.DefaultLimits()}
	c.limits.Fuel = 200_000_000
	program, err := canister.Prepare(wasm, c.limits)
	if err != nil {
		t.Fatal(err)
	}
	if c.engine, err = canister.NewEngine(canister.EngineConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.engine.Close)
	if c.module, err = c.engine.Compile(program); err != nil {
		t.Fatal(err)
	}
	return c
}

// rehearse installs a module over a store of its own. Everything is taken down at the end of the test.
func rehearse(t *testing.T, c compiled, tracker memstore.Tracker) *rehearsal {
	t.Helper()
	store, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rehearsal{t: t, module: c.module, called: map[string]bool{}}
	r.config = canister.Config{Engine: c.engine, Store: store, Tracker: tracker, Limits: c.limits}
	live, outcome, err := canister.Install(r.config, r.module, r.env(), nil)
	if err != nil || live == nil {
		t.Fatalf("install: %v, %v", outcome, err)
	}
	r.live = live
	t.Cleanup(func() {
		if err := errors.Join(r.live.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// env is another round each time, a second after the one before.
func (r *rehearsal) env() canister.Env {
	r.round++
	return canister.Env{Canister: 1, Round: r.round, Time: 1_700_000_000_000_000_000 + int64(r.round)*1_000_000_000}
}

// call runs one step and returns its end in the spelling of step.want.
func (r *rehearsal) call(kind, method, arg string) string {
	r.t.Helper()
	r.called[kind+" "+method] = true
	outcome := r.send(Message{Method: method, Arg: []byte(arg), Query: kind == "query"})
	if outcome.Status == canister.Replied {
		return string(outcome.Reply)
	}
	return fmt.Sprintf("%s: %s", outcome.Status, outcome.Text)
}

// send runs one message.
func (r *rehearsal) send(m Message) canister.Outcome {
	r.t.Helper()
	message := canister.Message{Method: m.Method, Arg: m.Arg}
	var outcome canister.Outcome
	var err error
	if m.Query {
		outcome, err = r.live.Query(r.env(), r.live.State(), message)
	} else {
		outcome, err = r.live.Update(r.env(), message)
	}
	if err != nil {
		r.t.Fatalf("%s %.80q: %v", m.Method, m.Arg, err)
	}
	return outcome
}

func (r *rehearsal) root() pagetrie.Hash { return r.live.State().Root(r.config.Store) }

// restore replaces the live canister by one made of its state alone.
func (r *rehearsal) restore() {
	r.t.Helper()
	state := r.live.State()
	fresh, err := canister.Restore(r.config, r.module, state)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.live.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.live = fresh
}

// tell runs a story, restoring the canister before step restoreAt, and returns the root after every step.
func (r *rehearsal) tell(story []step, restoreAt int) []pagetrie.Hash {
	r.t.Helper()
	var roots []pagetrie.Hash
	for i, s := range story {
		if i == restoreAt {
			r.restore()
		}
		before := r.root()
		got := r.call(s.kind, s.method, s.arg)
		failed := strings.HasPrefix(s.want, "trapped: ") || strings.HasPrefix(s.want, "out of fuel: ")
		beginning, anyEnd := strings.CutSuffix(s.want, "*")
		if got != s.want && !(anyEnd && strings.HasPrefix(got, beginning)) {
			r.t.Errorf("step %d, %s %s %q:\n got %q\nwant %q", i, s.kind, s.method, s.arg, got, s.want)
		}
		if after := r.root(); (failed || s.kind == "query") && after != before {
			r.t.Errorf("step %d, %s %s %q: the root changed", i, s.kind, s.method, s.arg)
		}
		roots = append(roots, r.root())
	}
	return roots
}

// checkStory runs a story under every tracker, once as it is and once restored in the middle. Roots must agree after every step,
// and the story must call every method.
func checkStory(t *testing.T, wasm []byte, story []step) {
	t.Helper()
	c := compile(t, wasm)
	var want []pagetrie.Hash
	for _, tracker := range memstore.Trackers() {
		for _, restoreAt := range []int{-1, len(story) / 2} {
			t.Run(fmt.Sprintf("tracker=%s/restore=%d", tracker, restoreAt), func(t *testing.T) {
				r := rehearse(t, c, tracker)
				got := r.tell(story, restoreAt)
				if want == nil {
					want = got
					r.checkAllCalled()
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("root after step %d (%v) is %v, the first run had %v", i, story[i], got[i], want[i])
					}
				}
			})
		}
	}
}

func (r *rehearsal) checkAllCalled() {
	program := r.module.Program
	for _, method := range program.Updates {
		if !r.called["update "+method] {
			r.t.Errorf("update %s is never called", method)
		}
	}
	for _, method := range program.Queries {
		if !r.called["query "+method] {
			r.t.Errorf("query %s is never called", method)
		}
	}
}

func TestCounter(t *testing.T) {
	checkStory(t, embeddedModule(t, "counter"), []step{
		{"query", "get", "", "0"},
		{"query", "last", "", "0"},
		{"update", "increment", "", "1"},
		{"update", "increment", "", "2"},
		{"query", "get", "", "2"},
		{"update", "increment", "", "3"},
		{"query", "last", "", "1700000007000000000"},
		{"query", "increment", "", "method not found: *"},
		{"update", "decrement", "", "method not found: *"},
	})
}

func TestKeyValueStore(t *testing.T) {
	long := strings.Repeat("0123456789", 500)
	checkStory(t, embeddedModule(t, "kv"), []step{
		{"update", "put", "a=1", "created"},
		{"update", "put", "a=one=1", "replaced"},
		{"query", "get", "a", "one=1"},
		{"query", "get", "b", "rejected: kv: no such key"},
		{"query", "get", "b=none", "none"},
		{"query", "get", "", "rejected: kv: the key is empty*"},
		{"update", "put", "a", "rejected: kv: put wants key=value"},
		{"update", "put", "=1", "rejected: kv: the key is empty*"},
		{"update", "put", strings.Repeat("k", 1025) + "=", "rejected: kv: the key is longer than 1024 bytes"},
		{"update", "put", "k=" + strings.Repeat("v", 1<<20+1), "rejected: kv: the value is longer than 1048576 bytes"},
		{"update", "put", "empty=", "created"},
		{"query", "get", "empty=fallback", ""},
		{"update", "append", "log=hello", "5"},
		{"update", "append", "log=, world", "12"},
		{"update", "append", "log=" + long, "5012"},
		{"query", "get", "log", "hello, world" + long},
		{"update", "append", "log", "rejected: kv: append wants key=text"},
		{"update", "add", "n", "1"},
		{"update", "add", "n=41", "42"},
		{"update", "add", "n=-100", "-58"},
		{"update", "add", "a", "rejected: kv: the value is not a number"},
		{"update", "add", "n=many", "rejected: kv: add wants key=number"},
		{"update", "add", "big=9223372036854775807", "9223372036854775807"},
		{"update", "add", "big=1", "rejected: kv: the sum does not fit 64 bits"},
		{"update", "add", "small=-9223372036854775808", "-9223372036854775808"},
		{"query", "len", "", "6"},
		{"update", "delete", "log", "deleted"},
		{"update", "delete", "log", "absent"},
		{"query", "scan", "", "a=one=1\nbig=9223372036854775807\nempty=\nn=-58\nsmall=-9223372036854775808\n"},
		{"query", "scan", "b", "big=9223372036854775807\n"},
		{"query", "scan", "zzz", ""},
		{"update", "load", "count=5000 bytes=30 seed=3", "5005"},
		{"query", "scan", "load/4999", "load/4999=xddadxiixqcptdaupksrlygpgpwltp\n"},
		{"update", "load", "count=1000 bytes=4", "5005"},
		{"update", "load", "bytes=x", `rejected: not a number: "bytes=x"; this method takes count= bytes= seed=`},
		{"update", "load", "count=999999999", "rejected: kv: load takes at most*"},
		{"update", "load", "count=16777216 bytes=1048576", "out of fuel: *"},
		{"query", "len", "", "5005"},
		{"update", "clear", "", "5005"},
		{"query", "len", "", "0"},
		{"update", "load", "count=5000 bytes=30 seed=3", "5000"},
		{"query", "stats", "", "keys=5000 buckets=8192 used_bytes=529152 free_bytes=1628480 memory_bytes=2228224"},
	})
}

// The store must agree with a Go map after any mixture of operations, and give back to itself what is deleted.
func TestKeyValueStoreAgainstMap(t *testing.T) {
	r := rehearse(t, compile(t, embeddedModule(t, "kv")), memstore.Trackers()[0])
	model := map[string]string{}
	w := mustParse(t, `{"generate":"uniform","method":"put","text":"$key=$value","keys":300,"value_bytes":50,"count":1000}
{"generate":"uniform","method":"append","text":"$key=$value","keys":300,"value_bytes":9,"count":1000}
{"generate":"uniform","method":"delete","text":"$key","keys":300,"count":2000}`)
	for _, m := range firstPass(w, 1, 1) {
		key, value, _ := strings.Cut(string(m.Arg), "=")
		r.call("update", m.Method, string(m.Arg))
		switch m.Method {
		case "put":
			model[key] = value
		case "append":
			model[key] += value
		case "delete":
			delete(model, key)
		}
	}
	var lines []string
	for key, value := range model {
		lines = append(lines, key+"="+value+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int {
		keyA, _, _ := strings.Cut(a, "=")
		keyB, _, _ := strings.Cut(b, "=")
		return strings.Compare(keyA, keyB)
	})
	if got := r.call("query", "scan", ""); got != strings.Join(lines, "") {
		t.Errorf("the store holds\n%s\nthe map\n%s", got, strings.Join(lines, ""))
	}
}

func TestNotes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a Go program")
	}
	file := filepath.Join(t.TempDir(), "notes.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "../../testdata/canister/notes")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const (
		shopping = `{"id":1,"title":"Shopping","text":"milk, bread","tags":["food","home"],"time":1700000002000000000}`
		work     = `{"id":2,"title":"Work","text":"Milk the cow","time":1700000003000000000}`
		edited   = `{"id":1,"title":"Shopping","text":"bread","tags":["home"],"time":1700000002000000000}`
	)
	checkStory(t, wasm, []step{
		{"update", "add", `{"title":"Shopping","text":"milk, bread","tags":["home","food","home"]}`, shopping},
		{"update", "add", `{"title":"Work","text":"Milk the cow"}`, work},
		{"update", "add", `{"text":"nothing"}`, "rejected: a note needs a title"},
		{"update", "add", `{"title":`, "rejected: argument: unexpected end of JSON input"},
		{"query", "find", "MILK", "[" + shopping + "," + work + "]"},
		{"query", "find", "cow milk", "[" + work + "]"},
		{"query", "find", "", "[]"},
		{"update", "churn", "2000", "5719acec"},
		{"update", "edit", `{"id":1,"text":"bread","tags":["home"]}`, edited},
		{"update", "edit", `{"id":3}`, "rejected: no note with id 3"},
		{"query", "find", "milk", "[" + work + "]"},
		{"query", "tagged", "home", "[" + edited + "]"},
		{"query", "tagged", "", "[" + edited + "," + work + "]"},
		{"update", "churn", "2000", "5719acec"},
		{"query", "get", "2", work},
		{"query", "get", "two", "rejected: argument: wanted the id of a note in decimal"},
		{"update", "remove", "2", work},
		{"update", "remove", "2", "rejected: no note with id 2"},
		{"query", "stats", "", `{"notes":1,"words":2,"tags":{"home":1}}`},
		{"update", "churn", "-1", "rejected: churn wants a number of KiB*"},
	})
}
