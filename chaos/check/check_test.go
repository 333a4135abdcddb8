package check

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"lockstep/chaos/history"
	"lockstep/chaos/history/synth"
	"lockstep/pagetrie"
)

func TestEveryCheckerIsNamedAndExplained(t *testing.T) {
	for _, name := range Names() {
		if doc := Doc(name); len(doc) < 80 || !strings.Contains(doc, "udged") {
			t.Errorf("%s: its documentation does not say what it is judged by: %q", name, doc)
		}
	}
	if Doc("no-such") != "" {
		t.Error("there is documentation of a checker that there is not")
	}
}

func TestNothingSeenIsUndecided(t *testing.T) {
	h := history.Header{Format: 1, Replicas: 3}
	v := Judge(t.Context(), &history.Log{Header: h}, Config{})
	if v.Judgement != Undecided || !strings.Contains(v.Sentence, "root-agreement: no round was reported by two replicas") {
		t.Errorf("%s", v.Sentence)
	}
	for _, f := range v.Findings {
		if f.State == Held {
			t.Errorf("%s has held without an event", f.Checker)
		}
	}
}

// A cluster that nobody asks for anything need not do anything: only a message that it does not get on with is a violation.
func TestAQuietEndingWithoutMessagesIsUndecided(t *testing.T) {
	l := load(t, "testdata/bad/liveness.nothing-after-healing.jsonl")
	isMessage := func(e history.Event) bool { return e.Kind == history.Invoked }
	query := *l
	query.Events = slices.Clone(l.Events)
	query.Events[slices.IndexFunc(query.Events, isMessage)].Class = history.Query
	l.Events = slices.DeleteFunc(l.Events, isMessage)
	for _, l := range []*history.Log{l, &query} {
		v := Judge(t.Context(), l, Config{})
		f := finding(t, v, "liveness")
		if v.Judgement != Undecided || f.State != Open || !strings.Contains(f.Reason, "nobody sent a message in the quiet ending") {
			t.Errorf("%s: liveness is %s, %q", v.Sentence, f.State, f.Reason)
		}
	}
}

func TestJudgementsAreExitCodesAndWords(t *testing.T) {
	for code, j := range []Judgement{Agreed, Violated, Undecided, HarnessError} {
		text, err := json.Marshal(j)
		var again Judgement
		if err != nil || json.Unmarshal(text, &again) != nil || again != j || j.ExitCode() != code {
			t.Errorf("%v is %s, exit code %d", j, text, j.ExitCode())
		}
	}
	if v := Failed(errors.New("no port")); v.Judgement != HarnessError || !strings.Contains(v.Sentence, "no port") {
		t.Errorf("%+v", v)
	}
}

func TestVerdictsSurviveJSON(t *testing.T) {
	v := Judge(t.Context(), load(t, "testdata/bad/root-agreement.two-replicas-differ.jsonl"), Config{})
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again Verdict
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if f := finding(t, again, "root-agreement"); f.Violation == nil || len(f.Violation.Evidence) != 2 || f.Violation.Roots[1].Who != "node 3" {
		t.Errorf("read back it is %+v", f.Violation)
	}
	const want = "VIOLATION: root-agreement at 0.003s: round 1: node 1 has root aaaaaaaaaaaa, node 3 has root bbbbbbbbbbbb."
	if again.Sentence != want {
		t.Errorf("the sentence is\n%s\nwant\n%s", again.Sentence, want)
	}
}

func TestAViolationComesWithWhatWasBefore(t *testing.T) {
	l := load(t, "testdata/good/small.jsonl")
	fault := history.Event{Kind: history.FaultBegin, Fault: 1, Text: "at 1s for 1s kill nodes=2"}
	l.Events = append([]history.Event{fault}, l.Events...)
	bad := slices.IndexFunc(l.Events, func(e history.Event) bool { return e.Kind == history.Applied && e.Node == 3 && e.Round == 2 })
	l.Events[bad].Root = pagetrie.Hash{1}
	v := Judge(t.Context(), l, Config{}).Findings[0].Violation
	if v == nil || !slices.ContainsFunc(v.Before, func(e history.Event) bool { return e.Kind == history.FaultBegin }) {
		t.Errorf("the fault is not among what was before: %+v", v)
	}
}

// However much happens after a fault began, a violation tells of it if it is on, and of the newest others.
func TestFaultsAreNotLostAmongWhatWasBefore(t *testing.T) {
	var r recent
	add := func(n int, e history.Event) {
		for range n {
			r.add(&e)
		}
	}
	fault := func(kind history.Kind, n uint32) { r.add(&history.Event{Kind: kind, Fault: n, Text: "a fault"}) }
	fault(history.FaultBegin, 1)
	for n := range uint32(20) {
		fault(history.FaultBegin, n+2)
		fault(history.FaultEnd, n+2)
	}
	add(100, history.Event{Kind: history.RoleChanged, Node: 1, Role: history.Candidate})
	add(100, history.Event{Kind: history.Mark, Text: string(history.MarkStaleRead)})
	add(100, history.Event{Kind: history.Mark, Text: string(history.MarkOutOfFuel)})
	add(1, history.Event{Kind: history.Mark, Text: string(history.MarkDiskFull)})
	events := r.events()
	if len(events) != 1+recentFaults+recentOthers || events[0].Fault != 1 || events[len(events)-1].Text != string(history.MarkDiskFull) {
		t.Errorf("%d events: %v", len(events), events)
	}
	for i, e := range events {
		if e.Kind == history.Mark && i != len(events)-1 {
			t.Errorf("event %d is %s", i, e.Text)
		}
		if want := uint32(21 - (recentFaults-i)/2); i >= 1 && i <= recentFaults && e.Fault != want {
			t.Errorf("event %d is of fault %d, want %d", i, e.Fault, want)
		}
	}
	fault(history.FaultEnd, 1)
	if events := r.events(); slices.ContainsFunc(events, func(e history.Event) bool { return e.Kind == history.FaultBegin && e.Fault == 1 }) {
		t.Error("a fault that was over long ago is told of")
	}
	for n := range uint32(1000) {
		fault(history.FaultBegin, n+100)
	}
	if events := r.events(); len(events) != recentOn+recentOthers || events[len(events)-1].Fault != 1099 {
		t.Errorf("%d events of a thousand faults that are on", len(events))
	}
}

func TestTheSecondOpinionAgreesAboutStaleReads(t *testing.T) {
	for _, c := range []struct {
		fixture string
		want    State
	}{
		{"bad/linearizability.stale-query", Broken},
		{"bad/linearizability.queries-go-back", Broken},
		{"bad/linearizability.query-missed-a-message-that-ran-after", Broken},
		{"good/small", Held}, {"good/stale-query-is-stale", Held}, {"good/sent-again-and-answered-from-the-first-time", Held},
	} {
		l := load(t, "testdata/"+c.fixture+".jsonl")
		v := Judge(t.Context(), l, Config{Without: []string{"linearizability"}})
		if f := finding(t, v, "second-opinion"); f.State != c.want {
			t.Errorf("%s: porcupine says %s (%s), want %s", c.fixture, f.State, f.Reason, c.want)
		}
	}
}

func TestTheSecondOpinionKnowsWindowsBehindTheFirst(t *testing.T) {
	l := synth.Make(synth.Busy(1, 3, time.Minute))
	i := len(l.Events) - 1
	for queries := 0; queries < 3; i-- { // the third query from the end reads an old state
		if e := &l.Events[i]; e.Kind == history.Returned && e.Ran == 0 && e.Outcome == history.OK {
			queries++
		}
	}
	l.Events[i+1].Round -= 5
	v := Judge(t.Context(), l, Config{Without: []string{"linearizability"}})
	if f := finding(t, v, "second-opinion"); f.State != Broken {
		t.Errorf("an old state late in a run is %s: %s", f.State, f.Reason)
	}
}

func TestWindowsCoverEverything(t *testing.T) {
	for _, n := range []int{0, 1, windowCalls, windowCalls + 1, 10 * windowCalls, 200 * windowCalls} {
		ops := make([]porcupine.Operation, n)
		for i := range ops {
			ops[i].Call = int64(i)
		}
		all, end := windows(ops), int64(-1)
		for _, w := range all {
			if n <= 10*windowCalls && w[0].Call > end+1 {
				t.Errorf("of %d calls those after %d are in no window", n, end)
			}
			end = w[len(w)-1].Call
		}
		if n > 0 && end != int64(n-1) || len(all) > maxWindows {
			t.Errorf("%d calls: %d windows that end with call %d", n, len(all), end)
		}
	}
}

// replay is a replay of a made-up run that is wrong in one round.
func replay(rounds, wrong uint64) Replay {
	return Replay{Name: "empty state", Run: func(_ context.Context, visit func(Replayed) error) error {
		for r := uint64(1); r <= rounds; r++ {
			root := synth.Root(r)
			if r == wrong {
				root[0] ^= 1
			}
			if err := visit(Replayed{Round: r, Index: r + 2, Root: root, Results: []Result{{1, 8*r - 7, r, history.Digest(8*r - 7)}}}); err != nil {
				return err
			}
		}
		return nil
	}}
}

func TestReplays(t *testing.T) {
	cfg := synth.Busy(1, 3, 10*time.Second)
	cfg.Outages = nil
	l := synth.Make(cfg)
	for _, c := range []struct {
		name   string
		replay Replay
		want   State
		reason string
	}{
		{"the same", replay(50, 0), Held, ""},
		{"another root", replay(50, 17), Broken, "round 17: repeated from empty state it gives root"},
		{"nothing", replay(0, 0), Open, "repeated no round"},
		{"a failure", Replay{"empty state", func(context.Context, func(Replayed) error) error { return errors.New("no log") }}, Open, "no log"},
		{"another reply", Replay{"empty state", func(_ context.Context, visit func(Replayed) error) error {
			return visit(Replayed{Round: 1, Root: synth.Root(1), Results: []Result{{1, 1, 1, 99}}})
		}}, Broken, "message 1 of session 1: repeated from empty state it gives the reply"},
		{"another entry", Replay{"empty state", func(_ context.Context, visit func(Replayed) error) error {
			return visit(Replayed{Round: 1, Index: 9, Root: synth.Root(1)})
		}}, Broken, "it is entry 9"},
	} {
		v := Judge(t.Context(), l, Config{Replays: []Replay{replay(5, 0), c.replay}})
		f := finding(t, v, "replay-equivalence")
		if f.State != c.want || !strings.Contains(f.Reason, c.reason) {
			t.Errorf("%s: %s, %q", c.name, f.State, f.Reason)
		}
		if want := map[State]Judgement{Held: Agreed, Broken: Violated, Open: Undecided}[c.want]; v.Judgement != want {
			t.Errorf("%s: %s", c.name, v.Sentence)
		}
	}
}

func TestBatches(t *testing.T) {
	var b Batch
	if b.Judgement(nil) != Undecided {
		t.Error("a batch without runs has shown something")
	}
	good := Verdict{Marks: map[history.MarkName]uint64{history.MarkInstall: 2}, Totals: Totals{Rounds: 10, OK: 20},
		Faults: []FaultCount{{1, "at 1s for 1s crash nodes=1", true, true, 1}, {2, "at 1s transfer to=2", true, true, 0}}}
	b.Add(good)
	b.Add(good)
	wanted := []history.MarkName{history.MarkInstall}
	if b.Judgement(wanted) != Agreed || b.Judgement(append(wanted, history.MarkDiskFull)) != Undecided || len(b.Missing(nil)) != len(history.MarkNames())-1 {
		t.Errorf("%+v", b)
	}
	const want = "2 runs: 2 agreed, 0 with a violation, 0 undecided, 0 failed; 20 rounds, 40 calls. Nothing is proved about what never happened: disk-full. These faults never had an effect: transfer."
	if got := b.Sentence([]history.MarkName{history.MarkInstall, history.MarkDiskFull}); got != want {
		t.Errorf("the sentence is\n%s\nwant\n%s", got, want)
	}
	b.Add(Verdict{Judgement: Undecided})
	b.Add(Verdict{Judgement: HarnessError})
	if b.Judgement(wanted) != HarnessError {
		t.Errorf("%v", b.Judgement(wanted))
	}
	b.Add(Verdict{Judgement: Violated})
	if b.Judgement(wanted) != Violated {
		t.Errorf("%v", b.Judgement(wanted))
	}
}

// How often a fault has struck is told at its end: one that goes on when a run is stopped must not be said to have had no effect.
func TestFaultsThatAreNotOver(t *testing.T) {
	l := &history.Log{Header: history.Header{Format: 1, Replicas: 3}, Events: []history.Event{
		{At: 1, Kind: history.FaultBegin, Fault: 1, Text: "at 1s for 1s pause nodes=1"}, {At: 2, Kind: history.FaultBegin, Fault: 2, Text: "at 1s for 9s pause nodes=2"},
		{At: 3, Kind: history.FaultEnd, Fault: 1}}}
	v := Judge(t.Context(), l, Config{})
	i := slices.IndexFunc(v.Findings, func(f Finding) bool { return f.Checker == "faults-fired" })
	if got, want := v.Findings[i].Reason, "1 of 2 faults had none, 1 went on at the end"; got != want || !v.Faults[0].Over || v.Faults[1].Over {
		t.Errorf("%q, want %q; %+v", got, want, v.Faults)
	}
}

func TestMarksAreSeen(t *testing.T) {
	for _, c := range []struct {
		fixture string
		want    history.MarkName
	}{
		{"unknown-ran", history.MarkUnknownRan}, {"unknown-ran", history.MarkUnknown},
		{"uncommitted-entry-is-cut-off", history.MarkTruncated}, {"damaged-checkpoint-is-written-again", history.MarkCheckpointBad},
		{"stream-began-before-the-damage", history.MarkInstall},
	} {
		if v := Judge(t.Context(), load(t, "testdata/good/"+c.fixture+".jsonl"), Config{}); v.Marks[c.want] == 0 {
			t.Errorf("%s does not show %s: %v", c.fixture, c.want, v.Marks)
		}
	}
}

func TestMemoryIsBoundedByTheWindow(t *testing.T) {
	s := New(Config{Header: history.Header{Format: 1, Replicas: 2}, Window: 100})
	at := func(n uint8, r uint64) {
		s.Observe(&history.Event{Kind: history.Appended, Node: n, Index: r, Term: 1, Digest: 5})
		s.Observe(&history.Event{Kind: history.Compacted, Node: n, Index: max(r, 200) - 199, To: max(r, 101) - 100})
		s.Observe(&history.Event{Kind: history.Applied, Node: n, Index: r, Round: r, Term: 1, Root: synth.Root(r)})
	}
	for r := uint64(1); r <= 5000; r++ {
		at(1, r)
		at(2, r)
	}
	at(1, 1<<40) // a replica that talks nonsense
	at(2, 2)
	if n := len(s.truth.rounds) + len(s.truth.byIndex); n > 202 {
		t.Errorf("%d rounds are kept", n)
	}
	for _, c := range s.checkers {
		switch c := c.checker.(type) {
		case *matching:
			if len(c.entries) > 201 {
				t.Errorf("%d log entries are kept", len(c.entries))
			}
		case *committed:
			if len(c.entries) > 102 {
				t.Errorf("%d committed entries are kept", len(c.entries))
			}
		}
	}
}

// Calls that all lie beside each other have more orders than can be searched; whether one fits is decided all the same, also where the
// clock stands still.
func TestSecondOpinionIsBounded(t *testing.T) {
	const calls = 60
	var ops []porcupine.Operation
	for i := range calls {
		ops = append(ops, porcupine.Operation{ClientId: i, Input: call{history.Update, uint64(calls - i), uint64(i + 1)}, Call: int64(i), Return: 1000})
	}
	if !ordered(ops) {
		t.Error("calls beside each other have an order")
	}
	late := porcupine.Operation{ClientId: calls, Input: call{history.Update, 1, calls + 1}, Call: 1001, Return: 1002}
	if ordered(append(ops, late, porcupine.Operation{ClientId: calls, Input: call{history.Query, 1, calls + 2}, Call: 1003, Return: 1004},
		porcupine.Operation{ClientId: calls, Input: call{history.Update, 1, calls + 3}, Call: 1005, Return: 1006})) {
		t.Error("a message runs in a round after it was read")
	}
}

func BenchmarkSuite(b *testing.B) {
	l := synth.Make(synth.Busy(1, 3, 10*time.Minute))
	for b.Loop() {
		s := New(Config{Header: l.Header})
		for i := range l.Events {
			if v := s.Observe(&l.Events[i]); v != nil {
				b.Fatal(v)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(l.Events)), "ns/event")
}
