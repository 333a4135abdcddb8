package fsm

import (
	"slices"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// sampleTable is the state table of a machine in the middle of calls.
func sampleTable(t testing.TB) []byte {
	t.Helper()
	r := puppets(t, "a", "b")
	openSession(r)
	both := call{to: 2, arg: reply("x"), onReply: replyArg, clean: count}.script()
	wantStatus(t, r.one(inSession(1, 1, run("a", both+both+certify("seal")+timer(1<<40)))), StatusPending)
	wantStatus(t, r.one(change(KindStop, "a")), StatusPending)
	p, err := r.acquire()
	if err != nil {
		t.Fatal(err)
	}
	state, err := p.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.release(p); err != nil {
		t.Fatal(err)
	}
	return state.Table
}

// Whatever a table says, reading it gives an error or records that hold together.
func FuzzStateTable(f *testing.F) {
	f.Add(sampleTable(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		table := new(StateTable)
		if decMode.Unmarshal(data, table) != nil {
			return
		}
		if _, err := tableOf(&snapshot.Checkpoint{}); err == nil {
			t.Fatal("an empty table is read")
		}
		for i := range table.Canisters {
			c, err := table.Canisters[i].record()
			if err != nil {
				continue
			}
			for _, call := range c.Calls {
				if c.context(call.Context).Outstanding == 0 {
					t.Fatalf("call %d belongs to a context without calls", call.ID)
				}
			}
			hashCanister(c, canister.State{}.Root(nil))
		}
	})
}

func TestTablesThatNoMachineWroteAreRefused(t *testing.T) {
	data := sampleTable(t)
	cases := []struct {
		name, want string
		change     func(*CanisterTable)
	}{
		{"nothing", "", func(*CanisterTable) {}},
		{"call without a context", "do not fit", func(c *CanisterTable) { c.Calls[0].Context = 77 }},
		{"context that waits for nothing", "do not fit", func(c *CanisterTable) { c.Contexts[0].Outstanding = 0 }},
		{"context that waits for more", "do not fit", func(c *CanisterTable) { c.Contexts[0].Outstanding++ }},
		{"context of the future", "do not fit", func(c *CanisterTable) { c.Head.NextContext = 1 }},
		{"context twice", "do not fit", func(c *CanisterTable) { c.Contexts = append(c.Contexts, c.Contexts[0]) }},
		{"call twice", "not in order", func(c *CanisterTable) { c.Calls[1] = c.Calls[0] }},
		{"call of the future", "not in order", func(c *CanisterTable) { c.Head.NextCall = 2 }},
		{"no call", "not in order", func(c *CanisterTable) { c.Calls[0] = nil }},
		{"two cleanups", "not in order", func(c *CanisterTable) { c.Calls[0].OnCleanup = append(c.Calls[0].OnCleanup, callback{}) }},
		{"hole in the queue", "hole", func(c *CanisterTable) { c.Queue = append(c.Queue, nil) }},
		{"unknown life", "life is 9", func(c *CanisterTable) { c.Head.Life = 9 }},
		{"stopped with calls", "is stopped", func(c *CanisterTable) { c.Head.Life, c.Head.Stops = Stopped, nil }},
		{"running, but awaited", "is running", func(c *CanisterTable) { c.Head.Life = Running }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := new(StateTable)
			if err := decMode.Unmarshal(data, table); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(table.Canisters, func(c CanisterTable) bool { return c.Head.Name == "a" })
			c.change(&table.Canisters[i])
			_, err := table.Canisters[i].record()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Everything that a record has shows in its hash.
func TestEveryPartOfARecordIsHashed(t *testing.T) {
	data := sampleTable(t)
	fresh := func() *canisterRecord {
		table := new(StateTable)
		if err := decMode.Unmarshal(data, table); err != nil {
			t.Fatal(err)
		}
		return must(table.Canisters[0].record())
	}
	changes := map[string]func(*canisterRecord){
		"ID":          func(c *canisterRecord) { c.ID++ },
		"name":        func(c *canisterRecord) { c.Name += "x" },
		"module":      func(c *canisterRecord) { c.Module[0]++ },
		"controllers": func(c *canisterRecord) { c.Controllers = nil },
		"version":     func(c *canisterRecord) { c.Version++ },
		"life":        func(c *canisterRecord) { c.Life++ },
		"timer":       func(c *canisterRecord) { c.Timer++ },
		"contexts":    func(c *canisterRecord) { c.keepContext(&callContext{ID: c.Contexts[0].ID, Outstanding: 2, Fuel: 1}) },
		"calls":       func(c *canisterRecord) { c.takeCall(1) },
		"queue":       func(c *canisterRecord) { c.push(rejection(1, codeFatal, "")) },
		"stops":       func(c *canisterRecord) { c.Stops = nil },
		"next":        func(c *canisterRecord) { c.NextContext++ },
		"next call":   func(c *canisterRecord) { c.NextCall++ },
	}
	want := hashCanister(fresh(), pagetrie.Hash{})
	if hashCanister(fresh(), pagetrie.Hash{}) != want || hashCanister(fresh(), pagetrie.Hash{1}) == want {
		t.Fatal("the hash is not one of the record and its state's root")
	}
	for name, change := range changes {
		c := fresh()
		change(c)
		if hashCanister(c, pagetrie.Hash{}) == want {
			t.Errorf("%s: not in the hash", name)
		}
	}
}

func TestRandomnessDependsOnTheStateBefore(t *testing.T) {
	var replies []string
	for _, text := range []string{"one", "other"} {
		r := puppets(t, "a")
		wantReply(t, r.one(run("a", reply(text))), text) // fuel and state differ by the argument
		replies = append(replies, string(r.ends(run("a", call{to: 0, method: "raw_rand", onReply: replyArg}.script())).Reply))
	}
	if replies[0] == replies[1] {
		t.Error("raw_rand does not depend on the state")
	}
}
