package fsm

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/canister/candid"
)

func statusArg(id uint64) script {
	p := canister.Principal(id)
	out := binary.AppendUvarint([]byte("DIDL\x01\x6c\x01"), uint64(candid.Hash("canister_id")))
	return script(append(append(out, 0x68, 1, 0, 1, byte(len(p))), p...))
}

func TestCanisterStatusOfTheManagementCanister(t *testing.T) {
	r := puppets(t, "a", "b")
	ask := func(arg script) Result {
		return r.ends(run("a", call{to: 0, method: "canister_status", arg: arg, onReply: replyArg, onReject: replyCode}.script()))
	}
	names := map[uint32]string{}
	for _, name := range []string{"status", "running", "module_hash", "settings", "controllers", "memory_size", "cycles"} {
		names[candid.Hash(name)] = name
	}
	got := ask(statusArg(1))
	text, err := candid.Decode(got.Reply, names)
	if err != nil {
		t.Fatalf("%v: %x", err, got.Reply)
	}
	for _, want := range []string{"status = variant { running", "cycles = 0 : nat", "module_hash = opt", "controllers = vec {"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nhas no %s", text, want)
		}
	}
	wantNumber(t, ask(statusArg(2)), codeError) // not a controller
	wantNumber(t, ask(statusArg(9)), codeDestination)
	wantNumber(t, ask("nonsense"), codeError)
	wantNumber(t, ask(statusArg(1)+"x"), codeError)
}

// Motoko's await goes through the queues; a replica that is restored in the middle goes on with it.
func TestMotokoAwaitsAcrossARestore(t *testing.T) {
	for _, guest := range []string{"store-classic", "store-enhanced"} {
		t.Run(guest, func(t *testing.T) {
			module, err := os.ReadFile(filepath.Join("../testdata/guest", guest+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			encode := func(text string) string { return string(must(candid.Encode(text, nil))) }
			r := newReplica(t, Config{Engine: newEngine(t, canister.OptNone, sharedCache)})
			wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "store", Module: module, Arg: []byte(encode("()"))}), StatusReplied)
			pending := r.one(update("store", "fill", encode(`("k", 5 : nat)`)))
			wantStatus(t, pending, StatusPending)
			r.apply(&Round{})
			r.checkpoint()
			restored := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache), Tracker: "compare"})
			if err := restored.Restore(r.openNewest()); err != nil {
				t.Fatal(err)
			}
			restored.index = r.index
			for _, replica := range []*replica{r, restored} {
				done := replica.rest()
				if len(done) != 1 || done[0].Ref != pending.Ref {
					t.Fatalf("completed %+v", done)
				}
				wantReply(t, done[0].Result, encode("(5 : nat)"))
				wantReply(t, replica.ends(update("store", "copy", encode(`("k3", "c")`))), encode(`("value 9")`))
				wantReply(t, replica.ends(update("store", "attempt", encode(`("no")`))), encode(`("caught: no")`))
				wantStatus(t, replica.ends(update("store", "trapAfterAwait", encode(`("t")`))), StatusTrapped)
				wantStatus(t, replica.one(Message{Kind: KindUpgrade, Canister: "store", Module: module, Arg: []byte(encode("()"))}), StatusReplied)
				size := must(replica.Query(Query{Canister: "store", Method: "size", Arg: []byte(encode("()"))})).Result
				wantReply(t, size, encode("(8 : nat)"))
			}
			if r.Latest() != restored.Latest() {
				t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
			}
		})
	}
}
