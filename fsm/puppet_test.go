package fsm

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"lockstep/canister"
)

// script is what testdata/puppet.wat does, step after step.
type script string

// The steps. reply and reject end nothing: a script goes on to its end.
const (
	count        script = "+"
	trap         script = "t"
	replyArg     script = "e"
	replyCaller  script = "w"
	replyCount   script = "n"
	replyCode    script = "k"
	replyVersion script = "v"
	replyLimit   script = "d" // the deadline
	replySpent   script = "p" // fuel, of the whole call
)

func text[S ~string](s S) script {
	return script(binary.LittleEndian.AppendUint16(nil, uint16(len(s)))) + script(s)
}

func reply(s string) script   { return "r" + text(s) }
func reject(s string) script  { return "j" + text(s) }
func certify(s string) script { return "C" + text(s) }
func timer(at int64) script {
	return "T" + script(binary.LittleEndian.AppendUint64(nil, uint64(at)))
}

// within gives the calls that follow so many seconds.
func within(seconds uint16) script {
	return "b" + script(binary.LittleEndian.AppendUint16(nil, seconds))
}

// call is a step that calls another canister.
type call struct {
	to                       CanisterID // 0 is the management canister
	method                   string     // "" is run
	arg                      script
	onReply, onReject, clean script
}

func (c call) script() script {
	var principal []byte
	if c.to != 0 {
		principal = canister.Principal(uint64(c.to))
	}
	if c.method == "" {
		c.method = "run"
	}
	return "c" + text(string(principal)) + text(c.method) + text(c.arg) + text(c.onReply) + text(c.onReject) + text(c.clean)
}

// ask calls a canister and answers as it does: with its reply, or with the code of its reject.
func ask(to CanisterID, arg script) script {
	return call{to: to, arg: arg, onReply: replyArg, onReject: replyCode}.script()
}

// heartbeat is what a puppet is given more to have one: it counts a thousand.
const heartbeat = `(func (export "canister_heartbeat") (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1000))))`

// puppet is the module of testdata/puppet.wat with more in it.
func puppet(t testing.TB, more string) []byte {
	t.Helper()
	wat, err := os.ReadFile("testdata/puppet.wat")
	if err != nil {
		t.Fatal(err)
	}
	module, err := canister.ParseWAT([]byte(strings.Replace(string(wat), ";; more", more, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func run(name string, s script) Message { return update(name, "run", string(s)) }

func change(kind Kind, name string) Message { return Message{Kind: kind, Canister: name} }

// puppets gives a replica with puppets of these names, numbered from 1.
func puppets(t testing.TB, names ...string) *replica {
	t.Helper()
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	for _, name := range names {
		wantStatus(t, r.one(Message{Kind: KindInstall, Canister: name, Module: puppet(t, "")}), StatusReplied)
	}
	return r
}

// rest applies rounds without messages while there is work, and gives what was completed.
func (r *replica) rest() []Completion {
	r.t.Helper()
	var completed []Completion
	for rounds := 0; r.HasWork(); rounds++ {
		if rounds == 1000 {
			r.t.Fatal("there is still work after 1000 rounds")
		}
		completed = append(completed, r.apply(&Round{}).Completed...)
	}
	return completed
}

// ends sends a message that becomes pending, and gives its result.
func (r *replica) ends(msg Message) Result {
	r.t.Helper()
	pending := r.one(msg)
	wantStatus(r.t, pending, StatusPending)
	for _, c := range r.rest() {
		if c.Ref == pending.Ref {
			return c.Result
		}
	}
	r.t.Fatalf("%s was not completed", pending.Ref)
	return Result{}
}

func wantReply(t testing.TB, got Result, want string) {
	t.Helper()
	if wantStatus(t, got, StatusReplied); string(got.Reply) != want {
		t.Fatalf("reply %q, want %q", got.Reply, want)
	}
}

func wantNumber(t testing.TB, got Result, want uint64) {
	t.Helper()
	wantReply(t, got, string(binary.LittleEndian.AppendUint64(nil, want)))
}

func (r *replica) count(name string) uint64 {
	r.t.Helper()
	got, err := r.Query(Query{Canister: name, Method: "count"})
	if err != nil {
		r.t.Fatal(err)
	}
	wantStatus(r.t, got.Result, StatusReplied)
	return binary.LittleEndian.Uint64(got.Reply)
}
