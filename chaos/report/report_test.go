package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/history/synth"
	"lockstep/pagetrie"
)

const planText = "lockstep-plan 1\nseed 3\ntime run=30s quiet=8s window=3s\n"

// spoil makes a good history a bad one: from a moment on a replica has other roots.
func spoil(l *history.Log, node uint8, from time.Duration) {
	for i := range l.Events {
		if e := &l.Events[i]; e.Kind == history.Applied && e.Node == node && e.At >= from {
			e.Root = pagetrie.Hash{byte(e.Round), 1}
		}
	}
}

// record makes a folder of a made-up run.
func record(t testing.TB, dir string, l *history.Log) check.Verdict {
	t.Helper()
	l.Header.Rerun, l.Header.Shrink = "cluster chaos --sim --plan testdata/plan/x", "cluster chaos --sim --shrink --plan testdata/plan/x"
	l.Header.Plan = history.DigestOf([]byte(planText))
	l.Header.Parameters = []history.Parameter{{Name: "replica 1", Value: "tracker=adaptive checkpoint=64"}, {Name: "replica 2", Value: "tracker=cow <&>"}}
	suite := check.New(check.Config{Header: l.Header})
	r, err := Create(dir, planText, history.RecorderConfig{Header: l.Header, Observe: func(e *history.Event) { suite.Observe(e) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		r.Recorder().Add(e)
	}
	v := suite.Finish(t.Context())
	if err := r.Finish(v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAFolderHoldsEverything(t *testing.T) {
	dir := t.TempDir()
	l := synth.Make(synth.Busy(3, 3, 30*time.Second))
	spoil(l, 2, 17*time.Second)
	v := record(t, dir, l)
	for _, name := range []string{PlanFile, HistoryFile, FaultsFile, RootsFile, VerdictFile, PageFile, LogsFolder} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.*.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	loaded, err := Load(dir)
	if err != nil || loaded.Plan != planText || len(loaded.Log.Events) != len(l.Events) || loaded.Verdict.Sentence != v.Sentence {
		t.Fatalf("read back: %v", err)
	}
	rows, err := os.ReadFile(filepath.Join(dir, RootsFile))
	if err != nil || !strings.Contains(string(rows), ",false,") {
		t.Errorf("the table of roots shows no difference: %v", err)
	}
	if _, err := Create(dir, planText, history.RecorderConfig{Header: l.Header}); err == nil {
		t.Error("a second run can be put into the folder")
	}
}

func TestThePageStandsAlone(t *testing.T) {
	l := synth.Make(synth.Busy(3, 3, 30*time.Second))
	spoil(l, 2, 17*time.Second)
	l.Events[len(l.Events)/2].Text = "</script><b>"
	var page bytes.Buffer
	v := check.Judge(t.Context(), l, check.Config{})
	if err := Render(&page, Page{Plan: planText, Log: l, Verdict: v}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, outside := range regexp.MustCompile(`(\ssrc=|href="//|@import|https?://)[^\s"'\\]*`).FindAllString(text, -1) {
		if outside != "http://www.w3.org/2000/svg" { // a name, not an address
			t.Errorf("the page refers to %v", outside)
		}
	}
	if n := strings.Count(text, "</script>"); n != 1 {
		t.Errorf("%d scripts end in the page", n)
	}
	for _, want := range []string{"<div class=\"badge\">Violation</div>", "root-agreement", "What happened before", "seed 3", "fault 1 begins"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(text, "ZgotmplZ") {
		t.Error("the template refused something")
	}
}

// The script walks lists without asking whether they are there: a run without faults and events must have empty ones.
func TestNothingOfADrawingIsNull(t *testing.T) {
	data, err := json.Marshal(picture(&history.Log{Header: history.Header{Replicas: 3}}, check.Verdict{}))
	if err != nil || bytes.Contains(data, []byte("null")) {
		t.Errorf("%s, %v", data, err)
	}
}

// A run that was lied to tells where its states differ before anything else about it; one that agreed has nothing to shrink.
func TestThePageSaysWhere(t *testing.T) {
	l := synth.Make(synth.Busy(3, 3, 10*time.Second))
	l.Header.Shrink = "the-shrink-command"
	v := check.Judge(t.Context(), l, check.Config{})
	var good, bad bytes.Buffer
	if err := Render(&good, Page{Log: l, Verdict: v}); err != nil {
		t.Fatal(err)
	}
	spoil(l, 2, 6*time.Second)
	v = check.Judge(t.Context(), l, check.Config{})
	for i := range v.Findings {
		if violation := v.Findings[i].Violation; violation != nil {
			violation.Where, violation.Searched = []string{"canister kv, page 5"}, 120*time.Millisecond
		}
	}
	if err := Render(&bad, Page{Log: l, Verdict: v}); err != nil {
		t.Fatal(err)
	}
	where, chart := strings.Index(bad.String(), "canister kv, page 5"), strings.Index(bad.String(), `id="chart"`)
	shrink := strings.Index(bad.String(), "the-shrink-command")
	if !strings.Contains(bad.String(), "found in 0.12 s") {
		t.Error("the page does not say how long the search took")
	}
	if where < 0 || where > chart || shrink < 0 || shrink > chart {
		t.Errorf("where at %d, shrink at %d, chart at %d", where, shrink, chart)
	}
	if strings.Contains(good.String(), "the-shrink-command") {
		t.Error("a run that agreed is offered to be shrunk")
	}
}

// A client of a simulation goes on in the very moment that answers it. Porcupine draws the next call over the end of the one before,
// and its words with it, unless a moment lies between them; calls of that moment keep their order.
func TestCallsOfOneMomentLieBesideEachOther(t *testing.T) {
	const ms = time.Millisecond
	call := func(kind history.Kind, at time.Duration, op uint64) history.Event {
		return history.Event{At: at, Kind: kind, Class: history.Update, Outcome: history.OK, Node: 1, Client: 1, Op: op, Round: op + 1}
	}
	l := &history.Log{Header: history.Header{Replicas: 1}, Events: []history.Event{
		call(history.Invoked, ms, 1), call(history.Returned, 2*ms, 1), call(history.Invoked, 2*ms, 2), call(history.Returned, 2*ms, 2),
		call(history.Invoked, 2*ms, 3), call(history.Returned, 4*ms, 3), call(history.Invoked, 5*ms, 4), call(history.Returned, 6*ms, 4)}}
	var page bytes.Buffer
	bad := check.Verdict{Findings: []check.Finding{{Checker: "linearizability", Violation: &check.Violation{At: 2 * ms}}}}
	if err := Picture(&page, l, bad); err != nil {
		t.Fatal(err)
	}
	times := regexp.MustCompile(`"OriginalStart":"(\d+)","End":\d+,"OriginalEnd":"(\d+)"`).FindAllStringSubmatch(page.String(), -1)
	if len(times) != 3 { // those that began at the moment of the violation are in the picture, the later one is not
		t.Fatalf("%d calls are drawn, not 3", len(times))
	}
	for i, want := range [][2]string{{"1000000", "2000000"}, {"2000001", "2000002"}, {"2000003", "4000000"}} {
		if times[i][1] != want[0] || times[i][2] != want[1] {
			t.Errorf("call %d is drawn from %s to %s, not %s", i+1, times[i][1], times[i][2], want)
		}
	}
	if l.Events[2].At != 2*ms {
		t.Error("the history itself was changed")
	}
}

func TestThePageOfALongRunIsNotLarger(t *testing.T) {
	size := func(run time.Duration) int {
		cfg := synth.Busy(1, 3, time.Minute)
		cfg.Outages, cfg.Run, cfg.Clients = nil, run, 2
		l := synth.Make(cfg)
		var page bytes.Buffer
		if err := Render(&page, Page{Log: l, Verdict: check.Verdict{}}); err != nil {
			t.Fatal(err)
		}
		return page.Len()
	}
	if short, long := size(2*time.Minute), size(40*time.Minute); long > 4*short || long > 1<<20 {
		t.Errorf("the page of a run of 2 minutes has %d bytes, of one of 40 minutes %d", short, long)
	}
}

func TestDrawing(t *testing.T) {
	l := synth.Make(synth.Busy(3, 3, 30*time.Second))
	good := picture(l, check.Judge(t.Context(), l, check.Config{}))
	if len(good.Faults) < 3 || good.Healed < 29 || good.Newest < 300 || len(good.Problems) != 0 {
		t.Errorf("%d faults, healed at %v, newest round %d, problems %v", len(good.Faults), good.Healed, good.Newest, good.Problems)
	}
	for n, lane := range good.Nodes {
		end := 0.0
		for _, s := range lane.Roles {
			if s.From < end-1e-9 || s.To < s.From {
				t.Errorf("node %d: %+v begins before %v", n+1, s, end)
			}
			end = s.To
		}
		if last := lane.Rounds[bins-1]; last != good.Newest {
			t.Errorf("node %d ends at round %d of %d", n+1, last, good.Newest)
		}
	}
	sum := 0
	for _, c := range good.Calls[0] {
		sum += c
	}
	if v := check.Judge(t.Context(), l, check.Config{}); sum != int(v.Totals.OK) {
		t.Errorf("%d answers are drawn, there were %d", sum, v.Totals.OK)
	}
	spoil(l, 2, 17*time.Second)
	bad := picture(l, check.Judge(t.Context(), l, check.Config{}))
	if len(bad.Problems) == 0 || bytes.IndexByte(statesOf(bad.Strip), 3) < 0 || bytes.IndexByte(statesOf(good.Strip), 3) >= 0 {
		t.Error("the strip does not show the difference")
	}
}

func statesOf(strip []int) []byte {
	var all []byte
	for _, s := range strip {
		all = append(all, byte(s))
	}
	return all
}

func TestOldFoldersAreJudgedAgain(t *testing.T) {
	dir := t.TempDir()
	l := synth.Make(synth.Busy(3, 3, 10*time.Second))
	spoil(l, 3, 6*time.Second)
	l.Header.Plan = history.DigestOf([]byte(planText))
	r, err := Create(dir, planText, history.RecorderConfig{Header: l.Header})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		r.Recorder().Add(e)
	}
	if err := r.Close(); err != nil { // the run was killed before it had a verdict
		t.Fatal(err)
	}
	if loaded, err := Load(dir); err != nil || loaded.Verdict != nil {
		t.Errorf("a folder without a verdict: %v", err)
	}
	v, err := Rejudge(t.Context(), dir, check.Config{})
	if err != nil || v.Judgement != check.Violated {
		t.Errorf("%v, %v", v.Sentence, err)
	}
	if loaded, err := Load(dir); err != nil || loaded.Verdict.Judgement != check.Violated {
		t.Errorf("the verdict was not written: %v", err)
	}
	for i := range v.Findings { // what a search found when the states were there
		if f := v.Findings[i].Violation; f != nil {
			f.Where = []string{"canister kv, page 5"}
		}
	}
	if err := Complete(dir, planText, v); err != nil {
		t.Fatal(err)
	}
	v, err = Rejudge(t.Context(), dir, check.Config{})
	if err != nil || !slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.Violation != nil && len(f.Violation.Where) == 1 }) {
		t.Errorf("judged again, the verdict has lost where replicas differ: %v", err)
	}
	for i := range v.Findings { // today's sentence may be another
		if f := v.Findings[i].Violation; f != nil {
			f.Sentence += ", as it was said then"
		}
	}
	if err := Complete(dir, planText, v); err != nil {
		t.Fatal(err)
	}
	v, err = Rejudge(t.Context(), dir, check.Config{})
	if err != nil || !slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.Violation != nil && len(f.Violation.Where) == 1 }) {
		t.Errorf("judged again by other words, the verdict has lost where replicas differ: %v", err)
	}
	if _, err := Rejudge(t.Context(), t.TempDir(), check.Config{}); err == nil {
		t.Error("an empty folder can be judged")
	}
}

// What a history cannot give again stays in the verdict of a run that is judged again: what a replay found, and how its process ended.
func TestJudgedAgainNothingIsForgotten(t *testing.T) {
	replay := check.Replay{Name: "empty state", Run: func(_ context.Context, visit func(check.Replayed) error) error {
		return visit(check.Replayed{Round: 5, Index: 999, Root: pagetrie.Hash{9}})
	}}
	for name, c := range map[string]struct {
		before func(l *history.Log) check.Verdict
		want   check.Judgement
		text   string
	}{
		"a replay that differs": {func(l *history.Log) check.Verdict {
			return check.Judge(t.Context(), l, check.Config{Replays: []check.Replay{replay}})
		}, check.Violated, "VIOLATION: replay-equivalence at "},
		"a process that panicked": {func(l *history.Log) check.Verdict {
			v := &check.Violation{Checker: "no-panic", Sentence: "a replica panicked: gone"}
			return check.Verdict{Judgement: check.Violated, Findings: []check.Finding{{Checker: v.Checker, State: check.Broken, Outside: true, Violation: v}}}
		}, check.Violated, "a replica panicked: gone"},
		"a harness that failed": {func(*history.Log) check.Verdict { return check.Failed(errors.New("no port")) }, check.HarnessError, "no port"},
		"a checker that was wrong": {func(l *history.Log) check.Verdict {
			v := &check.Violation{Checker: "one-leader", Sentence: "false alarm"}
			return check.Verdict{Judgement: check.Violated, Findings: []check.Finding{{Checker: v.Checker, State: check.Broken, Violation: v}}}
		}, check.Agreed, "AGREED"},
	} {
		dir, l := t.TempDir(), synth.Make(synth.Busy(3, 3, 10*time.Second))
		record(t, dir, l)
		if err := Complete(dir, planText, c.before(l)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // what was taken over is taken over again
			v, err := Rejudge(t.Context(), dir, check.Config{})
			if err != nil || v.Judgement != c.want || !strings.Contains(v.Sentence, c.text) {
				t.Errorf("%s: %s, %v", name, v.Sentence, err)
			}
		}
	}
}

// A plan beside another run's history would be shown, and run again, as if it were that run's.
func TestAnotherRunsPlanIsRefused(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, synth.Make(synth.Busy(3, 3, 5*time.Second)))
	before, err := os.ReadFile(filepath.Join(dir, VerdictFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, plan := range []string{"x", planText + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, PlanFile), []byte(plan), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Rejudge(t.Context(), dir, check.Config{}); err == nil || !strings.Contains(err.Error(), "not of one run") {
			t.Errorf("with the plan %q the error is %v", plan, err)
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, VerdictFile)); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the verdict was written: %v", err)
	}
}

var examples = flag.String("examples", "", "folder to write reports of made-up runs to, for looking at")

func TestExamples(t *testing.T) {
	root := *examples
	if root == "" {
		t.Skip("-examples names no folder")
	}
	for _, c := range []struct {
		name     string
		replicas int
		run      time.Duration
		bad      bool
	}{{"short-good", 3, 20 * time.Second, false}, {"short-bad", 3, 20 * time.Second, true}, {"long-good", 5, 20 * time.Minute, false}, {"long-bad", 5, 20 * time.Minute, true}} {
		l := synth.Make(synth.Busy(7, c.replicas, c.run))
		if c.bad {
			spoil(l, 2, c.run*2/3)
		}
		record(t, filepath.Join(root, c.name), l)
	}
}
