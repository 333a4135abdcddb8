package plant

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/sim"
)

// localised are bugs that make states or checkpoints differ, with what the search for the difference must name; | stands between words of
// which one does.
var localised = []struct {
	name   string
	wanted []string
}{
	{"missed-write", []string{"message 1 of 1 of round", "kv.put", "canister kv, page", "node 1 has"}},
	{"altered-argument", []string{"of round", "kv.put", "canister kv, page", "node 3 has"}},
	{"map-order", []string{"node 2 has as round", ", used at "}},
	{"wall-clock", []string{"time: ", "the difference came with entry"}},
	{"dropped-entry", []string{"node 2 has as round", "round: "}},
	{"applied-twice", []string{"round: ", "node 3 has"}},
	{"no-duplicate-check", []string{"session 1: ", "already round"}},
	{"merge-oldest-last", []string{"of round", "canister kv, page", "node 1 has"}},
	{"rollback-skipped", []string{"canister faulty, page", "node 3 has"}},
	{"restore-leaves-absent-pages", []string{"canister memory, page", " has as round"}},
	{"restore-half-done", []string{"canister kv, page", " has as round"}},
	{"restore-skipped", []string{"message 1 of 1 of round", "canister kv, page", " has as round"}},
	{"restart-trusts-index", []string{"canister kv: only"}},
	{"checkpoint-without-globals", []string{"checkpoint of entry", "canister kv", "global 0"}},
	{"checkpoint-without-sessions", []string{"checkpoint of entry", "session 1"}},
	{"checkpoint-wrong-size", []string{"checkpoint of entry", "canister kv, memory pages: the log has"}},
	{"checkpoint-table-cut", []string{"checkpoint of entry", "can't be read", "state table"}},
	{"checkpoint-without-memory", []string{"checkpoint of entry", "canister kv, page"}},
	{"checkpoint-of-another-round", []string{"checkpoint of entry", "state table is of round"}},
	{"checkpoint-old-root", []string{"node 1's checkpoint has", "with nothing else that differs"}},
	{"checkpoint-index-ahead", []string{"canister kv, page"}},
	{"money-lost", []string{"canister bank-b, stable page"}},
	{"call-delivered-twice", []string{"canister bank-a, "}},
	// These are about a log or an answer, not about states: what was in the entry, or in the round that was not seen.
	{"entries-altered", []string{"another entry of term", "message 1 of", "argument ", "it differs at byte"}},
	{"ack-before-durable", []string{"message 1 of", " has no entry |another entry of term"}},
	{"stale-read", []string{"which was not seen:", "message 1 of"}},
}

// localisedSlice is what an ordinary test runs of them.
const localisedSlice = "missed-write map-order checkpoint-without-globals checkpoint-without-sessions restore-leaves-absent-pages money-lost " +
	"entries-altered ack-before-durable stale-read"

// localiseWithin is the goal for a state of 1 GiB; states here are small, and only a search that hangs takes longer.
const localiseWithin = 20 * time.Second

// A failure names what differs: round, message, canister, page and bytes. LOCKSTEP_PLANTS is as in TestPlants.
func TestDivergencesAreLocalised(t *testing.T) {
	wanted := os.Getenv("LOCKSTEP_PLANTS")
	if wanted == "" {
		wanted = localisedSlice
	}
	pool := testPool(t)
	for _, c := range localised {
		if wanted != "all" && !slices.Contains(strings.Fields(wanted), c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := explained(t, pool, c.name)
			text := strings.Join(w.Where, "\n")
			for _, part := range c.wanted {
				if !slices.ContainsFunc(strings.Split(part, "|"), func(one string) bool { return strings.Contains(text, one) }) {
					t.Errorf("%s, found in %v, does not say %q:\n%s", w, w.Searched, part, text)
				}
			}
			if strings.Contains(text, "nothing more can be said") || w.Searched == 0 || w.Searched > localiseWithin {
				t.Errorf("%s: searched %v:\n%s", w, w.Searched, text)
			}
			t.Logf("%s: %d lines in %v", w.Checker, len(w.Where), w.Searched)
		})
	}
}

// explained runs a plant until it is caught and gives the violation that says where states differ.
func explained(t *testing.T, pool *sim.Pool, name string) *check.Violation {
	t.Helper()
	for _, p := range All() {
		if p.Name != name {
			continue
		}
		caught, err := Run(t.Context(), pool, p)
		if err != nil {
			t.Fatal(err)
		}
		v := caught.Last.Result.Verdict
		for _, f := range v.Findings {
			if f.Violation != nil && len(f.Violation.Where) > 0 {
				return f.Violation
			}
		}
		t.Fatalf("no violation says where it differs: %s", v.Sentence)
	}
	t.Fatalf("no plant is called %s", name)
	return nil
}
