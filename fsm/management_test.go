package fsm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/memstore"
)

// candidArg encodes an argument of a management method as its interface says.
func candidArg(t testing.TB, method, text string) []byte {
	t.Helper()
	arg, err := candid.Encode(text, management.Methods[method].Args)
	if err != nil {
		t.Fatalf("%s %s: %v", method, text, err)
	}
	return arg
}

// asClient calls the management canister by a message, asPuppet by a call of the canister with a number.
func (r *replica) asClient(method, text string) Result {
	r.t.Helper()
	return r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: method, Arg: candidArg(r.t, method, text)})
}

func (r *replica) asPuppet(name, method, text string) Result {
	r.t.Helper()
	arg := script(candidArg(r.t, method, text))
	return r.ends(run(name, call{to: 0, method: method, arg: arg, onReply: replyArg, onReject: replyCode}.script()))
}

func (r *replica) text(method string, got Result) string {
	r.t.Helper()
	wantStatus(r.t, got, StatusReplied)
	text, err := candid.Decode(got.Reply, management.Names())
	if err != nil {
		r.t.Fatalf("%s replies %x: %v", method, got.Reply, err)
	}
	return text
}

func id(n uint64) string {
	return fmt.Sprintf("canister_id = %s", principalText(canister.Principal(n)))
}

func blob(b []byte) string { return blobText(b) }

func wantRejected(t testing.TB, got Result, code uint32, part string) {
	t.Helper()
	if got.Status != StatusRejected || got.RejectCode != code || !strings.Contains(got.Text, part) {
		t.Fatalf("%s, code %d: %s; want code %d and %q", got.Status, got.RejectCode, got.Text, code, part)
	}
}

func TestCanisterStatusOfTheManagementCanister(t *testing.T) {
	r := puppets(t, "a", "b")
	status := r.text("canister_status", r.asPuppet("a", "canister_status", "(record { "+id(1)+" })"))
	for _, want := range []string{"status = variant { running", "cycles = 0 : nat", "module_hash = opt", "controllers = vec {",
		"memory_size = 131", "wasm_memory_limit = 4294967296", "version = 2 : nat64"} {
		if !strings.Contains(status, want) {
			t.Errorf("%s\nhas no %s", status, want)
		}
	}
	status2 := func(n uint64) Result { return r.asPuppet("a", "canister_status", "(record { "+id(n)+" })") }
	wantNumber(t, status2(2), codeError) // not a controller
	wantNumber(t, status2(9), codeDestination)
	raw := func(arg string) Result {
		return r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: "canister_status", Arg: []byte(arg)})
	}
	wantRejected(t, raw("nonsense"), codeError, "canister_status: candid: byte")
	wantRejected(t, raw(string(candidArg(t, "canister_status", "(record { "+id(1)+" })"))+"x"), codeError, "1 bytes too many")
	wantRejected(t, raw(string(must(candid.Encode("(5)", nil)))), codeError, "canister_id: ")
	wantRejected(t, raw(string(must(candid.Encode("()", nil)))), codeError, "no argument")
	wantRejected(t, r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: "sign_with_ecdsa"}), codeDestination, "no threshold keys")
	wantRejected(t, r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: "dance"}), codeDestination, "no such method")
	first, second := r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: "raw_rand"}), r.one(Message{Kind: KindUpdate, Canister: ManagementCanister, Method: "raw_rand"})
	if len(first.Reply) != 42 || string(first.Reply) == string(second.Reply) {
		t.Errorf("raw_rand gives %x and %x", first.Reply, second.Reply)
	}
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: ManagementCanister, Module: puppet(t, "")}), StatusRefused)
}

// A canister goes through its whole life by calls, of a client and of another canister; a replica restored in the middle has the
// same roots to the end.
func TestLifeByTheManagementCanister(t *testing.T) {
	for _, by := range []string{"client", "canister"} {
		t.Run(by, func(t *testing.T) {
			first := puppets(t, "a")
			replicas := []*replica{first}
			// do has every replica do it, and gives what the first one answers.
			do := func(method, text string) Result {
				t.Helper()
				var results []Result
				for _, r := range replicas {
					if by == "client" {
						results = append(results, r.asClient(method, text))
					} else {
						results = append(results, r.asPuppet("a", method, text))
					}
					if r.Latest() != first.Latest() {
						t.Fatalf("after %s roots %v and %v", method, first.Latest(), r.Latest())
					}
				}
				return results[0]
			}
			good := func(method, text string) {
				t.Helper()
				wantReply(t, do(method, text), string(must(candid.Encode("()", nil))))
			}
			bad := func(method, text string, code uint32, part string) {
				t.Helper()
				switch got := do(method, text); {
				case by == "client" && got.Status == StatusTrapped && got.RejectCode == code && strings.Contains(got.Text, part):
				case by == "client":
					wantRejected(t, got, code, part)
				default:
					wantNumber(t, got, uint64(code))
				}
			}
			installCode := func(mode string, more string) string {
				return fmt.Sprintf("(record { mode = variant { %s }; %s; wasm_module = %s; arg = blob \"\" })", mode, id(2), blob(puppet(t, more)))
			}
			created := do("create_canister", "(record {})")
			if got := first.text("create_canister", created); !strings.Contains(got, id(2)) {
				t.Fatalf("created %s", got)
			}
			name := canister.PrincipalText(canister.Principal(2))
			if got := first.one(run(name, reply(""))); got.Status != StatusRefused || !strings.Contains(got.Text, "has no module") {
				t.Fatalf("an empty canister: %+v", got)
			}
			if got := first.text("canister_status", do("canister_status", "(record { "+id(2)+" })")); !strings.Contains(got, "module_hash = null") {
				t.Fatalf("an empty canister: %s", got)
			}
			good("install_code", installCode("install", ""))
			bad("install_code", installCode("install", ""), codeError, "already")
			wantReply(t, first.one(run(name, count+count+reply("x"))), "x")

			restored := first.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: memstore.TrackerCompare})
			replicas = append(replicas, restored)

			good("install_code", installCode("upgrade = opt record { wasm_memory_persistence = opt variant { keep } }", ""))
			if got := first.count(name); got != 2 {
				t.Errorf("count %d after an upgrade that keeps memory", got)
			}
			good("install_code", installCode("upgrade = opt record { wasm_memory_persistence = opt variant { replace } }", ""))
			if got := first.count(name); got != 0 {
				t.Errorf("count %d after an upgrade that replaces memory", got)
			}
			good("install_code", installCode("upgrade", `(func (export "canister_pre_upgrade") unreachable)`))
			bad("install_code", installCode("upgrade", ""), codeError, "unreachable")
			good("install_code", installCode("upgrade = opt record { skip_pre_upgrade = opt true }", ""))
			bad("install_code", strings.Replace(installCode("reinstall", ""), `\00\61`, `\00\62`, 1), codeError, "")

			good("update_settings", "(record { "+id(2)+"; settings = record { wasm_memory_limit = opt 131_080; reply_limit = opt 100 } })")
			if l := first.state.canister(2).Limits; l.MemoryBytes != 131072 || l.ReplyBytes != 100 || l.Fuel != canister.DefaultLimits().Fuel {
				t.Errorf("limits %+v", l)
			}
			bad("update_settings", "(record { "+id(2)+"; settings = record { wasm_memory_limit = opt 65_536 } })", codeError, "which is more than 65536")
			bad("update_settings", "(record { "+id(2)+"; settings = record { freezing_threshold = opt 5 } })", codeError, "must be 0 or null")
			good("update_settings", "(record { "+id(2)+"; settings = record { reply_limit = opt 0 } })")

			bad("delete_canister", "(record { "+id(2)+" })", codeError, "stop it first")
			good("stop_canister", "(record { "+id(2)+" })")
			if got := first.state.canister(2).Life; got != Stopped {
				t.Errorf("the canister is %s", got)
			}
			good("start_canister", "(record { "+id(2)+" })")
			good("uninstall_code", "(record { "+id(2)+" })")
			if !first.state.canister(2).empty() {
				t.Error("the canister has its code")
			}
			good("stop_canister", "(record { "+id(2)+" })")
			good("update_settings", "(record { "+id(2)+"; settings = record { controllers = opt vec {} } })")
			bad("delete_canister", "(record { "+id(2)+" })", codeError, "not a controller")
			bad("start_canister", "(record { "+id(7)+" })", codeDestination, "there is no canister")
		})
	}
}

// A canister stops another one, which waits for a response of its own first.
func TestACanisterWaitsForAnotherToStop(t *testing.T) {
	r := puppets(t, "a", "b")
	wantStatus(t, r.asClient("update_settings", "(record { "+id(2)+"; settings = record { controllers = opt vec { "+principalText(canister.Principal(1))+" } } })"), StatusReplied)
	arg := script(candidArg(t, "stop_canister", "(record { "+id(2)+" })"))
	round := r.apply(&Round{Messages: []Message{run("b", ask(1, reply("late"))),
		run("a", call{to: 0, method: "stop_canister", arg: arg, onReply: replyArg, onReject: replyCode}.script())}})
	if got := r.state.canister(2).Life; got != Stopping {
		t.Fatalf("the canister is %s", got)
	}
	done := r.rest()
	if len(done) != 2 || done[0].Ref != round.Results[0].Ref {
		t.Fatalf("completed %+v", done)
	}
	wantReply(t, done[0].Result, "late")
	wantReply(t, done[1].Result, string(must(candid.Encode("()", nil))))
	if got := r.state.canister(2).Life; got != Stopped {
		t.Errorf("the canister is %s", got)
	}
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
			restored := r.restored(Config{Engine: newEngine(t, canister.OptSpeed, sharedCache), Tracker: memstore.TrackerCompare})
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
