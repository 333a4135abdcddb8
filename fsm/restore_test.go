package fsm

import (
	"slices"
	"strings"
	"testing"

	"lockstep/canister"
	"lockstep/snapshot"
)

// sampleTable is the state table of a machine in the middle of calls.
func sampleTable(t testing.TB) []byte {
	t.Helper()
	r := puppets(t, "a", "b")
	openSession(r)
	both := call{to: 2, arg: reply("x"), onReply: replyArg, clean: count}.script()
	wantStatus(t, r.one(inSession(1, 1, run("a", both+both+timer(1<<40)))), StatusPending)
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
		table := new(stateTable)
		if decMode.Unmarshal(data, table) != nil {
			return
		}
		if _, err := decodeTable(&snapshot.Checkpoint{}); err == nil {
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
		change     func(*canisterTable)
	}{
		{"nothing", "", func(*canisterTable) {}},
		{"call without a context", "do not fit", func(c *canisterTable) { c.Calls[0].Context = 77 }},
		{"context that waits for nothing", "do not fit", func(c *canisterTable) { c.Contexts[0].Outstanding = 0 }},
		{"context that waits for more", "do not fit", func(c *canisterTable) { c.Contexts[0].Outstanding++ }},
		{"context of the future", "do not fit", func(c *canisterTable) { c.Head.NextContext = 1 }},
		{"context twice", "do not fit", func(c *canisterTable) { c.Contexts = append(c.Contexts, c.Contexts[0]) }},
		{"call twice", "not in order", func(c *canisterTable) { c.Calls[1] = c.Calls[0] }},
		{"call of the future", "not in order", func(c *canisterTable) { c.Head.NextCall = 2 }},
		{"no call", "not in order", func(c *canisterTable) { c.Calls[0] = nil }},
		{"two cleanups", "not in order", func(c *canisterTable) { c.Calls[0].OnCleanup = append(c.Calls[0].OnCleanup, callback{}) }},
		{"hole in the queue", "hole", func(c *canisterTable) { c.Queue = append(c.Queue, nil) }},
		{"unknown life", "life is 9", func(c *canisterTable) { c.Head.Life = 9 }},
		{"stopped with calls", "is stopped", func(c *canisterTable) { c.Head.Life, c.Head.Stops = Stopped, nil }},
		{"running, but awaited", "is running", func(c *canisterTable) { c.Head.Life = Running }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := new(stateTable)
			if err := decMode.Unmarshal(data, table); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(table.Canisters, func(c canisterTable) bool { return c.Head.Name == "a" })
			c.change(&table.Canisters[i])
			_, err := table.Canisters[i].record()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
