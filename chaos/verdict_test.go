package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/fsm"
)

// wellRun is the evidence of a run in which everything was as it should be: 3 replicas, 10 rounds.
func wellRun() Evidence {
	a := NewAgreement(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}})
	e := Evidence{Settled: true, Traffic: Traffic{Updates: map[string]uint64{"replied": 1234, "trapped": 5}}}
	for i, name := range a.replicas {
		for round := fsm.RoundNumber(1); round <= 10; round++ {
			a.Report(i, att(round, 0))
		}
		e.Views = append(e.Views, ReplicaView{Name: name, Reachable: true, Reported: 10, Root: Root(rootOf(10, 0)),
			Report: ReplicaReport{Role: "follower", Round: 10}})
		e.Processes = append(e.Processes, ProcessStatus{State: ProcessRunning, Starts: 1})
	}
	e.Counts = a.Counts()
	return e
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(e *Evidence)
		want   Judgement
		says   string
	}{
		{"well", func(*Evidence) {}, Agreed, "10 rounds, the same root on every replica after every round; last round 10"},
		{"a restart is no harm", func(e *Evidence) { e.Processes[1].Starts = 3 }, Agreed, ""},
		{"a skip is told", func(e *Evidence) {
			e.Counts.Witnessed[3], e.Counts.Witnessed[2] = 6, 4
			e.Counts.Replicas[1].Reported, e.Counts.Replicas[1].Skipped = 6, 4
		}, Agreed, "(6 by all; n2 went on from a checkpoint past 4)"},
		{"a checkpoint that failed is told", func(e *Evidence) { e.Views[1].Counters.Failed = 1 }, Agreed,
			" CHECKPOINTS FAILED: n2 could not take 1 checkpoint that was due."},
		{"checkpoints that keep failing are told with the reason", func(e *Evidence) {
			e.Views[1].Counters.Failed, e.Views[1].Report.CheckpointFailure = 12, "no space left on device"
		}, Agreed, ". CHECKPOINTS FAILED: n2 could not take 12 checkpoints that were due, and its log grows until it can: no space left on device."},
		{"disagreement", func(e *Evidence) {
			e.Disagreement = &Disagreement{Round: 7, Agreed: []Witness{{"n1", Root(rootOf(7, 0))}}, Differs: Witness{"n3", Root(rootOf(7, 1))}}
		}, Disagreed, "round 7: n1 had root"},
		{"a replica found out", func(e *Evidence) {
			e.Views[1].Report.Diverged, e.Views[1].Report.Stopped = true, "diverged at round 9"
		}, Disagreed, "n2 found out by itself: diverged at round 9"},
		{"a process that ended as diverged", func(e *Evidence) {
			e.Processes[1] = ProcessStatus{State: ProcessDiverged, Exit: "diverged at round 9"}
		}, Disagreed, "n2 found out by itself: diverged at round 9"},
		{"not settled", func(e *Evidence) { e.Settled = false }, Undecided, "not seen at one and the same round"},
		{"unreachable", func(e *Evidence) {
			e.Settled, e.Views[2].Reachable = false, false
		}, Undecided, "n3: unreachable."},
		{"failed", func(e *Evidence) {
			e.Settled, e.Processes[2] = false, ProcessStatus{State: ProcessFailed, Exit: "disk full"}
		}, Undecided, "n3: failed (disk full)"},
		{"stopped applying", func(e *Evidence) {
			e.Settled, e.Views[2].Report.Stopped = false, "disk full"
		}, Undecided, "n3: stopped applying (disk full)"},
		{"a round with one witness", func(e *Evidence) {
			e.Counts.Witnessed[3], e.Counts.Witnessed[1] = 9, 1
		}, Undecided, "1 of 10 rounds were reported by fewer than two replicas"},
		{"missing on one", func(e *Evidence) {
			e.Counts.Witnessed[3], e.Counts.Witnessed[2] = 7, 3
			e.Counts.Replicas[2].Reported = 7
		}, Undecided, "n3 did not report 3 rounds"},
		{"nothing happened", func(e *Evidence) {
			e.Counts = NewAgreement(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}}).Counts()
		}, Undecided, "no round was run"},
		{"nothing acknowledged", func(e *Evidence) { e.Traffic = Traffic{} }, Undecided, "no message was acknowledged"},
		{"alone", func(e *Evidence) {
			a := NewAgreement(AgreementConfig{Replicas: []string{"n1"}})
			a.Report(0, att(1, 0))
			e.Views, e.Processes, e.Counts = e.Views[:1], e.Processes[:1], a.Counts()
		}, Undecided, "a single replica"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := wellRun()
			c.change(&e)
			v := Judge(e)
			if v.Judgement != c.want || !strings.Contains(v.Sentence, c.says) {
				t.Errorf("got %s: %s\nwant %s with %q", v.Judgement, v.Sentence, c.want, c.says)
			}
		})
	}
}

func TestVerdictWrite(t *testing.T) {
	e := wellRun()
	e.Traffic.Queries = map[string]uint64{"replied": 7}
	e.Traffic.Refused, e.Traffic.LastError = 2, "no leader"
	e.Processes[2].Starts = 2
	e.Views[1].Counters.Checkpoints, e.Views[1].Counters.Failed = 4, 2
	v := Judge(e)
	v.Elapsed = 2 * time.Second
	var b strings.Builder
	if err := v.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2s: 1,246 messages acknowledged (623 a second) in 10 rounds (5 a second)",
		"updates: 1,234 replied, 5 trapped;", "queries: 7 replied;", "errors: 2 refused, 0 with an unknown outcome; the last: no leader",
		"n3       follower  10     " + rootOf(10, 0).String()[:12] + "  10        0        0             1         0",
		"  4 (2 failed)  0         0", "AGREED: 3 replicas",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("does not say %q:\n%s", want, b.String())
		}
	}
}

func TestProgressLines(t *testing.T) {
	e := wellRun()
	e.Views[0].Report.Role, e.Views[0].Report.Checkpoint = "leader", 8
	e.Processes[1].State = ProcessRestarting
	e.Views[2].Reachable = false
	e.Views[2].Report.CheckpointFailure = "no space left"
	p := progressOf(e.Views, e.Processes)
	p.Elapsed, p.RoundsPerSecond, p.MessagesPerSecond = 1500*time.Millisecond, 1234.4, 5
	p.Latency = Latency{P50: 1234567, P99: 12345678}
	root := rootOf(10, 0).String()[:8]
	p.Replicas = append(p.Replicas, p.Replicas[0])
	want := []string{
		"1.5s  1,234 rounds/s  5 msg/s  p50 1.23ms p99 12.3ms  0 compared  ckpt 8",
		"n1 leader 10 " + root + "  n2 restarting 10 " + root + "  n3 unreachable 10 " + root,
		"n1 leader 10 " + root,
		"n3 CANNOT TAKE CHECKPOINTS: no space left",
	}
	if got := p.Lines(); !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// A replica that was wiped must not be shown with what it had before.
func TestProgressOfAWipedReplica(t *testing.T) {
	e := wellRun()
	e.Views[0].Report.PID, e.Processes[0].PID = 7, 8 // the process of the last answer is not the one that runs
	e.Views[1].Report.Joining, e.Views[1].Report.Round, e.Views[1].Report.Root = true, 0, Root{}
	p := progressOf(e.Views, e.Processes)
	if r := p.Replicas[0]; r.State != "starting" {
		t.Errorf("a new process is shown as %+v", r)
	}
	if r := p.Replicas[1]; r.State != "joining" || r.Round != 0 || r.Root != (Root{}) {
		t.Errorf("a replica with a new folder is shown as %+v", r)
	}
}
