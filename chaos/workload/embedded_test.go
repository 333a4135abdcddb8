package workload

import (
	"testing"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/testdata"
)

// The workloads that come with Lockstep ask only for what the canisters can do: every message is replied to, but for those to the
// canister that traps. That of the banks, whose messages fail on purpose, has a test of its own.
func TestEmbeddedWorkloadsRun(t *testing.T) {
	const most = 3000 // messages of each workload
	canisters := map[string]compiled{}
	for _, name := range []string{"kv", "memory", "faulty"} {
		canisters[name] = compile(t, embeddedModule(t, name))
	}
	for _, name := range testdata.Workloads() {
		if name == "bank" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w, err := Embedded(name)
			if err != nil {
				t.Fatal(err)
			}
			running := map[string]*rehearsal{}
			for _, c := range w.Canisters() {
				running[c] = rehearse(t, canisters[c], memstore.TrackerPrefetch)
			}
			for i := range min(w.Len(), most) {
				m := w.Message(1, i)
				if outcome := running[m.Canister].send(m); outcome.Status != canister.Replied && m.Canister != "faulty" {
					t.Fatalf("message %d, %s %s %.80q: %v", i, m.Canister, m.Method, m.Arg, outcome)
				}
			}
		})
	}
}
