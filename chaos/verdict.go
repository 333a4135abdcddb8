package chaos

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lockstep/fsm"
)

// Judgement is what a run has shown.
type Judgement string

// The judgements. Undecided is never rounded up: a run that could not look at everything has not agreed.
const (
	Agreed    Judgement = "agreed"
	Disagreed Judgement = "disagreed"
	Undecided Judgement = "undecided"
)

// Evidence is what a run is judged by.
type Evidence struct {
	// Views and Processes are in the order of the cluster, as they were at the end.
	Views     []ReplicaView
	Processes []ProcessStatus
	Counts    AgreementCounts
	// Disagreement is the first that the observer found, or nil.
	Disagreement *Disagreement
	// Settled is whether all replicas were seen at the same round in the end.
	Settled bool
	Traffic Traffic
}

// Verdict is what a run ends with.
type Verdict struct {
	Judgement Judgement `json:"judgement"`
	// Sentence says it in words, with the reasons.
	Sentence     string           `json:"sentence"`
	Replicas     []ReplicaVerdict `json:"replicas"`
	Rounds       AgreementCounts  `json:"rounds"`
	Disagreement *Disagreement    `json:"disagreement,omitempty"`
	Traffic      Traffic          `json:"traffic"`
	// Elapsed is how long the clients ran.
	Elapsed time.Duration `json:"elapsed_ns"`
}

// ReplicaVerdict is one line of the verdict's table.
type ReplicaVerdict struct {
	Name string `json:"name"`
	// State is the replica's role if it was well at the end, or what was wrong with it, with the Reason.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Round and Root are the newest that it reported.
	Round fsm.RoundNumber `json:"round"`
	Root  Root            `json:"root"`
	ReplicaCounts
	// Missing counts the rounds that it neither reported nor skipped.
	Missing     uint64 `json:"missing"`
	Checkpoints uint64 `json:"checkpoints"`
	// CheckpointsFailed counts the due checkpoints that it could not take, CheckpointFailure is why the last try failed.
	CheckpointsFailed uint64 `json:"checkpoints_failed"`
	CheckpointFailure string `json:"checkpoint_failure,omitempty"`
	Restarts          int    `json:"restarts"`
	Installs          uint64 `json:"installs"`
}

// Judge draws the conclusion. It is a pure function of the evidence.
func Judge(e Evidence) Verdict {
	v := Verdict{Rounds: e.Counts, Disagreement: e.Disagreement, Traffic: e.Traffic}
	for i := range e.Views {
		v.Replicas = append(v.Replicas, judgeReplica(e, i))
	}
	if found := disagreements(v); len(found) > 0 {
		v.Judgement = Disagreed
		v.Sentence = "DISAGREED: " + strings.Join(found, "; ") + "."
	} else if doubts := doubts(v, e); len(doubts) > 0 {
		v.Judgement = Undecided
		v.Sentence = "UNDECIDED: " + strings.Join(doubts, "; ") + "."
	} else {
		v.Judgement = Agreed
		v.Sentence = agreement(v)
	}
	v.Sentence += checkpointTrouble(v)
	return v
}

// checkpointTrouble says which replicas could not take checkpoints that were due. Their roots are as good as ever, but their
// logs grow, and what a log holds must be replayed at the next start.
func checkpointTrouble(v Verdict) string {
	var b strings.Builder
	for _, r := range v.Replicas {
		if r.CheckpointsFailed == 0 && r.CheckpointFailure == "" {
			continue
		}
		fmt.Fprintf(&b, " CHECKPOINTS FAILED: %s could not take %s", r.Name,
			count(max(1, r.CheckpointsFailed), "checkpoint that was due", "checkpoints that were due"))
		if r.CheckpointFailure != "" {
			fmt.Fprintf(&b, ", and its log grows until it can: %s", strings.TrimSuffix(r.CheckpointFailure, "."))
		}
		b.WriteString(".")
	}
	return b.String()
}

// States of a replica in a verdict besides the roles and the final states of its process.
const (
	stateUnreachable = "unreachable"
	stateStopped     = "stopped applying"
)

func judgeReplica(e Evidence, i int) ReplicaVerdict {
	view, process := e.Views[i], e.Processes[i]
	r := ReplicaVerdict{
		Name: view.Name, State: view.Report.Role, Round: view.Reported, Root: view.Root,
		ReplicaCounts: e.Counts.Replicas[i], Missing: e.Counts.Missing(i),
		CheckpointsFailed: view.Counters.Failed, CheckpointFailure: view.Report.CheckpointFailure,
		Checkpoints: view.Counters.Checkpoints, Restarts: process.Restarts(), Installs: view.Counters.Installs,
	}
	switch {
	case view.Report.Diverged:
		r.State, r.Reason = string(ProcessDiverged), view.Report.Stopped
	case process.Final():
		r.State, r.Reason = string(process.State), process.Exit
	case !view.Reachable:
		r.State, r.Reason = stateUnreachable, process.Exit
	case view.Report.Stopped != "":
		r.State, r.Reason = stateStopped, view.Report.Stopped
	}
	return r
}

// disagreements says what shows that two replicas differ.
func disagreements(v Verdict) []string {
	var found []string
	if v.Disagreement != nil {
		found = append(found, v.Disagreement.String())
	}
	for _, r := range v.Replicas {
		if r.State == string(ProcessDiverged) {
			found = append(found, fmt.Sprintf("%s found out by itself: %s", r.Name, r.Reason))
		}
	}
	return found
}

// doubts says what keeps the run from having shown agreement.
func doubts(v Verdict, e Evidence) []string {
	var d []string
	if len(v.Replicas) == 1 {
		d = append(d, "a single replica has nobody to be compared with")
	} else if n := v.Rounds.Unproven(); n > 0 {
		d = append(d, fmt.Sprintf("%s of %s rounds were reported by fewer than two replicas", number(n), number(v.Rounds.Rounds)))
	}
	if v.Rounds.Rounds == 0 {
		d = append(d, "no round was run")
	} else if v.Traffic.Acknowledged() == 0 {
		d = append(d, "no message was acknowledged")
	}
	lame := false
	for _, r := range v.Replicas {
		switch r.State {
		case stateUnreachable, stateStopped, string(ProcessFailed), string(ProcessUnusable), string(ProcessStopped):
			lame = true
			d = append(d, strings.TrimSuffix(fmt.Sprintf("%s: %s (%s)", r.Name, r.State, r.Reason), " ()"))
		}
		if r.Missing > 0 && len(v.Replicas) > 1 && r.Missing != v.Rounds.Unproven() {
			d = append(d, fmt.Sprintf("%s did not report %s", r.Name, count(r.Missing, "round", "rounds")))
		}
	}
	if !e.Settled && !lame {
		d = append(d, "the replicas were not seen at one and the same round in the end")
	}
	return d
}

// agreement is the sentence of a run that agreed.
func agreement(v Verdict) string {
	var b strings.Builder
	everybody := v.Rounds.Witnessed[len(v.Replicas)]
	fmt.Fprintf(&b, "AGREED: %d replicas, %s, ", len(v.Replicas), count(v.Rounds.Rounds, "round", "rounds"))
	if everybody == v.Rounds.Rounds {
		b.WriteString("the same root on every replica after every round")
	} else {
		fmt.Fprintf(&b, "the same root after every round on all replicas that ran it (%s by all", number(everybody))
		for _, r := range v.Replicas {
			if r.Skipped > 0 {
				fmt.Fprintf(&b, "; %s went on from a checkpoint past %s", r.Name, number(r.Skipped))
			}
		}
		b.WriteString(")")
	}
	last := v.Replicas[0]
	fmt.Fprintf(&b, "; last round %d, root %s.", last.Round, last.Root)
	return b.String()
}

// Write prints the verdict as people read it: the traffic, a table of the replicas, the sentence.
func (v Verdict) Write(w io.Writer) error {
	var b strings.Builder
	v.writeTraffic(&b)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nREPLICA\tSTATE\tROUND\tROOT\tCOMPARED\tSKIPPED\tCKPTS\tRESTARTS\tINSTALLS")
	for _, r := range v.Replicas {
		checkpoints := fmt.Sprint(r.Checkpoints)
		if r.CheckpointsFailed > 0 {
			checkpoints += fmt.Sprintf(" (%d failed)", r.CheckpointsFailed)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\t%d\n", r.Name, r.State, r.Round, r.Root.Short(12),
			number(r.Compared), number(r.Skipped), checkpoints, r.Restarts, r.Installs)
	}
	t.Flush() // writes to memory
	fmt.Fprintf(&b, "\n%s\n", v.Sentence)
	_, err := io.WriteString(w, b.String())
	return err
}

func (v Verdict) writeTraffic(b *strings.Builder) {
	seconds := v.Elapsed.Seconds()
	fmt.Fprintf(b, "%s: %s acknowledged", duration(v.Elapsed), count(v.Traffic.Acknowledged(), "message", "messages"))
	if seconds > 0 {
		fmt.Fprintf(b, " (%s a second) in %s (%s a second)", number(uint64(float64(v.Traffic.Acknowledged())/seconds)),
			count(v.Rounds.Rounds, "round", "rounds"), number(uint64(float64(v.Rounds.Rounds)/seconds)))
	}
	writeStatuses(b, "\nupdates", v.Traffic.Updates, v.Traffic.Latency)
	writeStatuses(b, "\nqueries", v.Traffic.Queries, v.Traffic.QueryLatency)
	if v.Traffic.Refused+v.Traffic.Unknown > 0 {
		fmt.Fprintf(b, "\nerrors: %s refused, %s with an unknown outcome; the last: %s",
			number(v.Traffic.Refused), number(v.Traffic.Unknown), v.Traffic.LastError)
	}
	b.WriteString("\n")
}

// writeStatuses prints how calls ended, in the order of the statuses.
func writeStatuses(b *strings.Builder, what string, counts map[string]uint64, l Latency) {
	if len(counts) == 0 {
		return
	}
	separator := ": "
	b.WriteString(what)
	for s := fsm.StatusReplied; s <= fsm.StatusStale; s++ {
		if n := counts[s.String()]; n > 0 {
			fmt.Fprintf(b, "%s%s %s", separator, number(n), s)
			separator = ", "
		}
	}
	fmt.Fprintf(b, "; latency p50 %s, p99 %s, longest %s", duration(l.P50), duration(l.P99), duration(l.Max))
}
