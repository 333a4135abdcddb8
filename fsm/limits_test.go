package fsm

import (
	"strings"
	"testing"

	"lockstep/canister"
)

func limits(name, changes string) Message {
	return Message{Kind: KindLimits, Canister: name, Arg: []byte(changes)}
}

// Limits of a canister change what it may do from the next message on, also on a replica that was restored after the change.
func TestLimitsOfACanister(t *testing.T) {
	r := puppets(t, "a", "b")
	wantReply(t, r.one(run("a", count+reply(strings.Repeat("x", 200)))), strings.Repeat("x", 200))
	before := r.Latest()
	for _, bad := range []struct{ changes, reason string }{
		{"", "no limit is named"}, {"Speed=5", `there is no limit "Speed"`}, {"Fuel", "write NAME=NUMBER"}, {"Fuel=-1", "write NAME=NUMBER"},
		{"Fuel=0", "Fuel 0 is not within"}, {"MemoryBytes=65536", "which is more than 65536"}, {"Calls=5", `there is no limit "Calls"`},
	} {
		got := r.one(limits("a", bad.changes))
		if got.Status != StatusRefused || !strings.Contains(got.Text, bad.reason) {
			t.Errorf("%q: %s: %s, want %q", bad.changes, got.Status, got.Text, bad.reason)
		}
	}
	if got := r.state.canister(1).Limits; got != canister.DefaultLimits() || r.Latest() == before {
		t.Errorf("limits %+v after refusals", got)
	}
	other := limits("a", "Fuel=100")
	other.Caller = []byte("somebody")
	if got := r.one(other); got.Status != StatusRefused || !strings.Contains(got.Text, "not a controller") {
		t.Errorf("a stranger: %+v", got)
	}
	wantStatus(t, r.one(limits("a", "ReplyBytes=100 Fuel=50000 MemoryBytes=131072")), StatusReplied)
	restored := r.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: "compare"})
	for _, replica := range []*replica{r, restored} {
		wantStatus(t, replica.one(run("a", reply(strings.Repeat("x", 200)))), StatusTrapped)
		wantReply(t, replica.one(run("b", reply(strings.Repeat("x", 200)))), strings.Repeat("x", 200))
		wantStatus(t, replica.one(run("a", script(strings.Repeat(string(count), 5000)))), StatusOutOfFuel)
		wantNumber(t, replica.one(run("a", replyCount)), 1)
		wantStatus(t, replica.one(run("a", reply(strings.Repeat("x", 65000)))), StatusTrapped) // no memory for the script
		wantStatus(t, replica.one(limits("a", "MemoryBytes=262144 ReplyBytes=70000 Fuel=4000000000")), StatusReplied)
		wantStatus(t, replica.one(run("a", call{to: 2, arg: script(strings.Repeat("x", 60000))}.script())), StatusPending)
		replica.rest()
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
}

// Limits of the cluster hold at once; new canisters begin with what it says of canisters.
func TestLimitsOfTheCluster(t *testing.T) {
	r := puppets(t, "a")
	wantStatus(t, r.one(limits("", "ArgBytes=64 Canisters=2 MemoryBytes=131072")), StatusReplied)
	if got := r.Limits(); got.ArgBytes != 64 || got.Canister.MemoryBytes != 131072 || got.Sessions != DefaultLimits().Sessions {
		t.Errorf("limits %+v", got)
	}
	if got := r.one(run("a", reply(strings.Repeat("x", 64)))); got.Status != StatusRefused || !strings.Contains(got.Text, "the cluster allows 64") {
		t.Errorf("a long argument: %+v", got)
	}
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "b", Module: puppet(t, "")}), StatusReplied)
	if a, b := r.state.canister(1).Limits, r.state.canister(2).Limits; a != canister.DefaultLimits() || b.MemoryBytes != 131072 {
		t.Errorf("limits %+v and %+v", a, b)
	}
	if got := r.one(Message{Kind: KindInstall, Canister: "c", Module: puppet(t, "")}); got.Status != StatusRefused || !strings.Contains(got.Text, "as many as it allows") {
		t.Errorf("one canister too many: %+v", got)
	}
	wantStatus(t, r.one(limits("", "ArgBytes=0")), StatusRefused)
	for name := range (Limits{}).Named() {
		if got := r.one(limits("", name+"=18446744073709551615")); got.Status != StatusRefused || !strings.Contains(got.Text, name) {
			t.Errorf("%s without a bound: %+v", name, got)
		}
	}
}
