package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/history/synth"
	"lockstep/pagetrie"
)

func load(t testing.TB, path string) *history.Log {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := history.Read(f, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fixtures(t testing.TB, kind string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", kind, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return paths
}

// checkerOf is the checker that a fixture is for: the first word of its name.
func checkerOf(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// finding is a checker's finding in a verdict.
func finding(t testing.TB, v Verdict, checker string) Finding {
	t.Helper()
	i := slices.IndexFunc(v.Findings, func(f Finding) bool { return f.Checker == checker })
	if i < 0 {
		t.Fatalf("no finding of %s in %+v", checker, v)
	}
	return v.Findings[i]
}

func TestBadHistoriesAreFound(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range fixtures(t, "bad") {
		name := checkerOf(path)
		seen[name] = true
		v := Judge(t.Context(), load(t, path), Config{})
		f := finding(t, v, name)
		if v.Judgement != Violated || f.State != Broken || f.Violation == nil {
			t.Errorf("%s: %s; %s is %s", path, v.Sentence, name, f.State)
			continue
		}
		if len(f.Violation.Evidence) == 0 || f.Violation.Sentence == "" || f.Violation.Checker != name {
			t.Errorf("%s: the violation explains nothing: %+v", path, f.Violation)
		}
		for _, other := range v.Findings {
			if other.State == Broken && other.Checker != name && other.Checker != "second-opinion" {
				t.Errorf("%s: %s finds a violation as well: %s", path, other.Checker, other.Reason)
			}
		}
	}
	for _, name := range Names() {
		if !seen[name] && !slices.Contains([]string{"second-opinion", "replay-equivalence", "faults-fired"}, name) {
			t.Errorf("%s has no bad history", name)
		}
	}
}

func TestGoodHistoriesAreAccepted(t *testing.T) {
	for _, path := range fixtures(t, "good") {
		v := Judge(t.Context(), load(t, path), Config{})
		if v.Judgement != Agreed || !strings.HasPrefix(v.Sentence, "AGREED: ") {
			t.Errorf("%s: %s", path, v.Sentence)
		}
		excused := strings.Contains(path, "-the-plan-admits")
		if got := strings.Contains(v.Sentence, "what it admits happened"); got != excused {
			t.Errorf("%s: %s", path, v.Sentence)
		}
	}
}

// A history that ends before the run's end, since its recorder was killed, does not say what is not in it: whoever would conclude from
// that leaves it open.
func TestHistoriesWithoutAnEndAreUndecided(t *testing.T) {
	for _, path := range fixtures(t, "cut") {
		v := Judge(t.Context(), load(t, path), Config{})
		if f := finding(t, v, checkerOf(path)); v.Judgement != Undecided || f.State != Open || !strings.Contains(f.Reason, "no end") {
			t.Errorf("%s: %s; %s is %s: %s", path, v.Sentence, f.Checker, f.State, f.Reason)
		}
	}
}

// Whatever a run's recorder is killed at, what it has written until then breaks nothing.
func TestNoBeginningOfAGoodHistoryIsBad(t *testing.T) {
	logs := map[string]*history.Log{"made up": synth.Make(synth.Busy(1, 3, time.Second))}
	for _, path := range fixtures(t, "good") {
		logs[path] = load(t, path)
	}
	for name, l := range logs {
		for n := range l.Events {
			v := Judge(t.Context(), &history.Log{Header: l.Header, Events: l.Events[:n]}, Config{})
			if v.Judgement != Undecided {
				t.Errorf("%s, %d of %d events: %s", name, n, len(l.Events), v.Sentence)
				break
			}
		}
	}
}

func TestMadeUpRunsAreAccepted(t *testing.T) {
	marks := Batch{}
	for seed := range uint64(30) {
		l := synth.Make(synth.Busy(seed, 3+2*int(seed%2), 20*time.Second))
		v := Judge(t.Context(), l, Config{})
		if v.Judgement != Agreed {
			t.Errorf("seed %d: %s", seed, v.Sentence)
		}
		marks.Add(v)
	}
	for _, m := range []history.MarkName{history.MarkInstall, history.MarkRestored, history.MarkReplayed, history.MarkUnknown} {
		if marks.Marks[m] == 0 {
			t.Errorf("30 runs never reached %s: %v", m, marks.Marks)
		}
	}
}

// The online checkers and the ones that read a file are the same.
func TestOnlineIsTheSameAsAfterwards(t *testing.T) {
	for _, path := range fixtures(t, "bad") {
		l := load(t, path)
		s := New(Config{Header: l.Header})
		for i := range l.Events {
			s.Observe(&l.Events[i])
		}
		online := s.First()
		after := Judge(t.Context(), l, Config{})
		if online != nil && !strings.Contains(after.Sentence, online.String()) {
			t.Errorf("%s: online %s, afterwards %s", path, online, after.Sentence)
		}
	}
}

// mutants are ways in which recorder or comparators can be wrong. Each must make some bad history pass: if none did, the fixtures
// would not notice that a checker has lost its eyes.
var mutants = []struct {
	name   string
	change func(*history.Event) bool // false drops the event
	blind  []string                  // the checkers that must miss something
}{
	{"all roots are taken for equal", func(e *history.Event) bool { e.Root = pagetrie.Hash{}; return true },
		[]string{"root-agreement", "checkpoint-truth"}},
	{"only even rounds are compared", func(e *history.Event) bool { return e.Kind != history.Applied || e.Round%2 == 0 },
		[]string{"root-agreement"}},
	{"digests are those of nothing", func(e *history.Event) bool { e.Digest = min(e.Digest, 1); return true },
		[]string{"log-matching", "committed-kept", "exactly-once"}},
	{"terms are not told apart", func(e *history.Event) bool { e.Term = min(e.Term, 1); return true },
		[]string{"committed-kept"}},
	{"unknown outcomes are not recorded", func(e *history.Event) bool {
		if e.Kind == history.Returned && e.Outcome == history.Unknown {
			e.Outcome = history.Refused
		}
		return true
	}, nil},
	{"refusals are taken for unknown", func(e *history.Event) bool {
		if e.Outcome == history.Refused {
			e.Outcome = history.Unknown
		}
		return true
	}, []string{"exactly-once"}},
	{"beginnings of calls are recorded too early", func(e *history.Event) bool { return e.Kind != history.Invoked || e.Op == 1 },
		[]string{"linearizability"}},
	{"rounds are off by one in answers of queries", func(e *history.Event) bool {
		if e.Kind == history.Returned && e.Ran == 0 && e.Outcome == history.OK {
			e.Round++
		}
		return true
	}, []string{"linearizability"}},
	{"votes are not recorded", func(e *history.Event) bool { return e.Kind != history.Voted }, []string{"one-leader"}},
	{"installs are taken for starts", func(e *history.Event) bool {
		if e.Kind == history.Installed {
			e.Kind = history.Started
		}
		return true
	}, []string{"apply-order"}},
	{"damage is not recorded", func(e *history.Event) bool { return e.Kind != history.Damaged }, []string{"corruption-refused"}},
	{"the ending is not recorded", func(e *history.Event) bool { return e.Kind != history.Ended },
		[]string{"liveness", "linearizability", "exactly-once", "conservation"}},
	{"panics are taken for stops", func(e *history.Event) bool {
		if e.Kind == history.Panicked {
			e.Kind = history.Stopped
		}
		return true
	}, []string{"no-panic"}},
	{"sizes are measured in thousands", func(e *history.Event) bool { e.Count /= 1000; return true }, []string{"bounded-resources"}},
	{"cuts of logs are not recorded", func(e *history.Event) bool { return e.Kind != history.Truncated }, []string{"committed-kept"}},
}

func TestFixturesNoticeMutants(t *testing.T) {
	for _, m := range mutants {
		missed := map[string]bool{}
		for _, path := range fixtures(t, "bad") {
			name := checkerOf(path)
			if finding(t, judgeMutant(t, load(t, path), m.change), name).State != Broken {
				missed[name] = true
			}
		}
		for _, name := range m.blind {
			if !missed[name] {
				t.Errorf("%s: no bad history of %s passes, so the fixtures do not look at this", m.name, name)
			}
		}
		if m.blind == nil && len(falseAlarms(t, m.change)) == 0 {
			t.Errorf("%s: no good history is refused, so the fixtures do not look at this", m.name)
		}
	}
}

func judgeMutant(t *testing.T, l *history.Log, change func(*history.Event) bool) Verdict {
	s := New(Config{Header: l.Header})
	for _, e := range l.Events {
		if change(&e) {
			s.Observe(&e)
		}
	}
	return s.Finish(t.Context())
}

// falseAlarms are the good histories that a mutant refuses.
func falseAlarms(t *testing.T, change func(*history.Event) bool) []string {
	var refused []string
	for _, path := range fixtures(t, "good") {
		if judgeMutant(t, load(t, path), change).Judgement == Violated {
			refused = append(refused, path)
		}
	}
	return refused
}
