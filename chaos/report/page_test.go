package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/history/synth"
)

func render(t *testing.T, p Page) string {
	t.Helper()
	var page bytes.Buffer
	if err := Render(&page, p); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// A run that is stopped leaves faults that are not over: they are drawn to the end, and are not said to have had no effect.
func TestAFaultThatGoesOnIsDrawnToTheEnd(t *testing.T) {
	l := &history.Log{Header: history.Header{Replicas: 3}, Events: []history.Event{
		{At: time.Second, Kind: history.FaultBegin, Fault: 1, Text: "at 1s for 9s pause nodes=1"}, {At: 2 * time.Second, Kind: history.FaultBegin, Fault: 2},
		{At: 3 * time.Second, Kind: history.FaultEnd, Fault: 2}, {At: 4 * time.Second, Kind: history.Mark}}}
	faults := picture(l, check.Verdict{}).Faults
	if len(faults) != 2 || faults[0].To != 4 || !faults[0].Open || faults[1].To != 3 || faults[1].Open {
		t.Errorf("%+v", faults)
	}
}

// Not every history says that a leader follows another one: it is seen by what it votes and has.
func TestWhoHearsOfALaterTermFollows(t *testing.T) {
	role := func(at time.Duration, node uint8, r history.Role, term uint64) history.Event {
		return history.Event{At: at, Kind: history.RoleChanged, Node: node, Role: r, Term: term}
	}
	vote := func(at time.Duration, node, peer uint8, term uint64) history.Event {
		return history.Event{At: at, Kind: history.Voted, Node: node, Peer: peer, Term: term}
	}
	l := &history.Log{Header: history.Header{Replicas: 3}, Events: []history.Event{
		vote(1, 1, 1, 2), role(2, 1, history.Leader, 2), role(3, 3, history.Candidate, 2), vote(10, 2, 2, 3), role(11, 2, history.Leader, 3),
		{At: 12, Kind: history.Appended, Node: 2, Term: 3, Index: 1}, vote(20, 1, 2, 3), {At: 30, Kind: history.Applied, Node: 3, Term: 2, Round: 1},
		{At: 100, Kind: history.Mark}}}
	got := ""
	for n, lane := range picture(l, check.Verdict{}).Nodes {
		for _, s := range lane.Roles {
			got += fmt.Sprintf("%d: %.0f to %.0f %s; ", n+1, s.From*1e9, s.To*1e9, s.Is)
		}
	}
	const want = "1: 2 to 20 leader; 1: 20 to 100 follower; 2: 11 to 100 leader; 3: 3 to 30 candidate; 3: 30 to 100 follower; "
	if got != want {
		t.Errorf("the lanes are\n%s, want\n%s", got, want)
	}
}

// Of more faults and events than can be drawn the newest are, and the page says what it leaves out; it does not grow with the run.
func TestTheNewestOfVeryManyAreShown(t *testing.T) {
	l := &history.Log{Header: history.Header{Replicas: 3}}
	for i := range 4 * maxMarks {
		at := time.Duration(i) * time.Second
		l.Events = append(l.Events, history.Event{At: at, Kind: history.FaultBegin, Fault: uint32(i + 1), Text: "at 1s transfer to=1"},
			history.Event{At: at, Kind: history.FaultEnd, Fault: uint32(i + 1), Count: 1},
			history.Event{At: at, Kind: history.Damaged, Node: uint8(i%3 + 1), Text: strings.Repeat("long ", 1000)})
	}
	p := picture(l, check.Verdict{})
	if n := len(p.Faults); n != maxFaults || p.Faults[n-1].Fault != 4*maxMarks || p.Left != 4*maxMarks-maxFaults {
		t.Errorf("%d faults are drawn, the newest of them %d; %d are left out", n, p.Faults[n-1].Fault, p.Left)
	}
	marks := 0
	for _, lane := range p.Nodes {
		marks += len(lane.Points)
	}
	if marks != maxMarks || p.Marked != 3*maxMarks {
		t.Errorf("%d events are on the lanes, from %v s on", marks, p.Marked)
	}
	plan := strings.Repeat("at 1s transfer to=1\n", 4*maxMarks)
	page := render(t, Page{Log: l, Plan: plan})
	if len(page) > 3<<20 || !strings.Contains(page, "more lines are in the file") {
		t.Errorf("the page has %d bytes", len(page))
	}
	if shown := beginning(plan); len(shown) > maxPlanShown+100 || !strings.HasSuffix(shown, fmt.Sprintf("to=1\n… %d more lines are in the file\n", (len(plan)-maxPlanShown)/20+1)) {
		t.Errorf("of the plan %d bytes are shown, ending %q", len(shown), shown[len(shown)-60:])
	}
}

// The page begins with the violation that its sentence is about, marks every one in the chart, and says once how to run it again.
func TestThePageBeginsWithTheLeadingViolation(t *testing.T) {
	l := synth.Make(synth.Busy(3, 3, 10*time.Second))
	l.Header.Rerun = "the-rerun-command"
	found := func(checker string, at time.Duration) check.Finding {
		return check.Finding{Checker: checker, State: check.Broken, Violation: &check.Violation{Checker: checker, Sentence: "wrong", At: at}}
	}
	v := check.Verdict{Judgement: check.Violated, Leading: "root-agreement", Sentence: "VIOLATION: root-agreement",
		Findings: []check.Finding{found("apply-order", 3*time.Second), found("root-agreement", 2*time.Second), found("replay-equivalence", time.Second)}}
	names := []string{}
	for _, p := range picture(l, v).Problems {
		names = append(names, p.Checker)
	}
	if want := []string{"root-agreement", "replay-equivalence", "apply-order"}; !slices.Equal(names, want) {
		t.Errorf("the chart has %v, want %v", names, want)
	}
	page := render(t, Page{Log: l, Verdict: v})
	if first, second := strings.Index(page, "<h2>root-agreement"), strings.Index(page, "<h2>replay-equivalence"); first < 0 || second < first {
		t.Errorf("the violations are at %d and %d", first, second)
	}
	if n := strings.Count(page, "the-rerun-command"); n != 1 {
		t.Errorf("the command to run it again is there %d times", n)
	}
	if !strings.Contains(page, "an order that fits (the newest calls)") || strings.Contains(page, OutputFile) {
		t.Error("the page speaks of a violation of linearizability, or of a simulation that died")
	}
	v.Findings = append(v.Findings, found("linearizability", 4*time.Second))
	if page := render(t, Page{Log: l, Verdict: v, Died: true}); !strings.Contains(page, "an order that fits (up to the violation)") || !strings.Contains(page, OutputFile) {
		t.Error("the page does not say up to where calls are drawn, or where the output is")
	}
}
