package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/fsm"
)

// Progress is a run at one moment.
type Progress struct {
	// Elapsed is how long the clients have been running.
	Elapsed time.Duration `json:"elapsed_ns"`
	// RoundsPerSecond and MessagesPerSecond are since the last Progress.
	RoundsPerSecond   float64 `json:"rounds_per_second"`
	MessagesPerSecond float64 `json:"messages_per_second"`
	// Latency is that of the updates acknowledged since the last Progress.
	Latency Latency `json:"latency"`
	// Compared is the number of rounds on which at least two replicas have agreed so far.
	Compared uint64            `json:"compared"`
	Replicas []ReplicaProgress `json:"replicas"`
	// Checkpoint is the round of the newest checkpoint of any replica.
	Checkpoint fsm.RoundNumber `json:"checkpoint"`
}

// ReplicaProgress is one replica at one moment.
type ReplicaProgress struct {
	Name  string          `json:"name"`
	State string          `json:"state"`
	PID   int             `json:"pid"`
	Round fsm.RoundNumber `json:"round"`
	Root  Root            `json:"root"`
	// CheckpointFailure is why its last try to take a checkpoint failed.
	CheckpointFailure string `json:"checkpoint_failure,omitempty"`
}

// States of a replica while it comes up: its process has not been heard of yet, or it has not caught up with a new folder.
const (
	stateStarting = "starting"
	stateJoining  = "joining"
)

// progressOf puts together what is known about the replicas.
func progressOf(views []ReplicaView, processes []ProcessStatus) Progress {
	var p Progress
	for i, v := range views {
		r := ReplicaProgress{Name: v.Name, State: v.Report.Role, PID: processes[i].PID, Round: v.Reported, Root: v.Root,
			CheckpointFailure: v.Report.CheckpointFailure}
		switch {
		case processes[i].State != ProcessRunning:
			r.State = string(processes[i].State)
		case v.Report.Diverged:
			r.State = string(ProcessDiverged)
		case !v.Reachable:
			r.State = stateUnreachable
		case v.Report.PID != 0 && v.Report.PID != r.PID:
			r.State = stateStarting
		case v.Report.Joining && v.Report.Role != "leader":
			r.State, r.Round, r.Root = stateJoining, v.Report.Round, v.Report.Root
		}
		p.Replicas = append(p.Replicas, r)
		p.Checkpoint = max(p.Checkpoint, v.Report.Checkpoint)
	}
	return p
}

// replicasALine is how many replicas fit into a line of 80 columns.
const replicasALine = 3

// Lines describes the progress for people: a line about the cluster, and the replicas, three to a line.
func (p Progress) Lines() []string {
	lines := []string{fmt.Sprintf("%.1fs  %s rounds/s  %s msg/s  p50 %s p99 %s  %s compared  ckpt %d",
		p.Elapsed.Seconds(), number(uint64(p.RoundsPerSecond+0.5)), number(uint64(p.MessagesPerSecond+0.5)),
		duration(p.Latency.P50), duration(p.Latency.P99), number(p.Compared), p.Checkpoint)}
	for some := range slices.Chunk(p.Replicas, replicasALine) {
		var texts []string
		for _, r := range some {
			texts = append(texts, fmt.Sprintf("%s %s %d %s", r.Name, r.State, r.Round, r.Root.Short(8)))
		}
		lines = append(lines, strings.Join(texts, "  "))
	}
	for _, r := range p.Replicas {
		if r.CheckpointFailure != "" {
			lines = append(lines, fmt.Sprintf("%s CANNOT TAKE CHECKPOINTS: %s", r.Name, r.CheckpointFailure))
		}
	}
	return lines
}

// duration rounds to about three digits.
func duration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// number writes thousands apart.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number with its noun.
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
