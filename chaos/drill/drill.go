package drill

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Drill is one rehearsed disaster.
type Drill struct {
	Name string
	// Purpose is one sentence for people who choose.
	Purpose string
	// nodes is the number of replicas of a new cluster; 0 is three.
	nodes int
	run   func(*rig) error
}

// Drills are all of them, in the order in which they are run.
func Drills() []Drill {
	return []Drill{
		{"restart", "stop one replica, go on without it, start it again", 0, restartOne},
		{"wipe", "lose the whole disk of one replica", 0, func(r *rig) error { return wipe(r, 1) }},
		{"wipe-minority", "lose the disks of two of five replicas at once", 5, func(r *rig) error { return wipe(r, 2) }},
		{"corrupt-follower", "flip bytes in the newest checkpoint of a follower", 0, func(r *rig) error { return corruptCheckpoint(r, false) }},
		{"corrupt-leader", "flip bytes in the newest checkpoint of the leader", 0, func(r *rig) error { return corruptCheckpoint(r, true) }},
		{"corrupt-log", "damage the log of a replica: its beginning, its end, its entries", 0, corruptLog},
		{"kill-checkpoint", "SIGKILL a replica again and again while it writes a checkpoint", 0, killInCheckpoint},
		{"kill-merge", "SIGKILL a replica while it merges the files of a checkpoint", 0, killInMerge},
		{"kill-install", "SIGKILL a replica again and again while it is sent a checkpoint and installs it", 0, killInInstall},
		{"kill-sender", "SIGKILL the leader while it sends a checkpoint to one of five replicas", 5, killSender},
		{"disk-full", "fill the disk under the checkpoints of a replica, and give the space back", 0, diskFull},
		{"cluster-loss", "lose every replica and rebuild from one checkpoint folder, on more replicas and then on one", 0, clusterLoss},
		{"rollback", "take every replica back to an older checkpoint and let it repeat its log", 0, rollback},
		{"carry", "export a checkpoint, carry it to a new cluster, and go on there", 0, carry},
	}
}

// Config says how drills are run.
type Config struct {
	// Program is executed for each replica with Args, of which the first is argv[0], before the flags of `cluster node`.
	Program string
	Args    []string
	// Nodes is the number of replicas where a drill does not need a number of its own; 0 means 3. At least 3.
	Nodes int
	// Data is a stopped cluster's folder of which each drill uses a copy; "" is a new cluster.
	Data string
	// SizeMiB is about how much memory the canisters hold; 0 means 1.
	SizeMiB int
	// Seed makes the same messages and delays again.
	Seed uint64
	// Step is told what a drill does; nil ignores it.
	Step func(text string)
}

// Verdict is what became of a drill.
type Verdict string

// The verdicts.
const (
	Passed    Verdict = "passed"
	Violation Verdict = "violation" // a root differs, or something acknowledged was lost
	Undecided Verdict = "undecided" // it was not seen to end well, or the disaster did not happen
	Skipped   Verdict = "skipped"   // this machine does not allow the disaster
	Broken    Verdict = "error"     // the drill itself could not do its work
)

// Result is the outcome of one drill.
type Result struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Reason says why it did not pass; Facts are what was seen to happen.
	Reason string   `json:"reason,omitempty"`
	Facts  []string `json:"facts,omitempty"`
	// Recovery is from the end of the disaster until all replicas were at one root again.
	Recovery time.Duration `json:"recovery_ns"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Compared Comparison    `json:"compared"`
	// Folder is the evidence that was kept; "" if there is none.
	Folder string `json:"folder,omitempty"`
}

// Comparison is what a drill's verdict rests on: roots that were held against others.
type Comparison struct {
	// Replicas were all at Round with Root in the end.
	Replicas int    `json:"replicas"`
	Round    uint64 `json:"round"`
	Root     string `json:"root,omitempty"`
	// Reported is the number of roots that replicas reported on the way, of Rounds rounds: all of one round are equal.
	Reported uint64 `json:"reported"`
	Rounds   uint64 `json:"rounds"`
	// Replayed is the number of rounds that an undisturbed replay of the archive's log repeated, beginning from From. Its roots
	// equal Known of those that replicas reported, Attested of those that leaders' rounds attest, and those of Checkpoints on the way.
	From        string `json:"from,omitempty"`
	Replayed    uint64 `json:"replayed"`
	Known       uint64 `json:"known"`
	Attested    uint64 `json:"attested"`
	Checkpoints uint64 `json:"checkpoints"`
}

// String says it for people, in lines.
func (c Comparison) String() string {
	return fmt.Sprintf("compared: %d replicas at round %d with each other: one root, %.12s…; %d reported roots of %d rounds: one a round\n"+
		"compared: %d rounds of the first replica's log, repeated undisturbed from %s, with %d roots that replicas reported, %d attested ones and %d of checkpoints: equal",
		c.Replicas, c.Round, c.Root, c.Reported, c.Rounds, c.Replayed, c.From, c.Known, c.Attested, c.Checkpoints)
}

// outcomeError ends a drill with a verdict.
type outcomeError struct {
	verdict Verdict
	reason  string
}

func (e *outcomeError) Error() string { return e.reason }

func violation(format string, args ...any) error {
	return &outcomeError{Violation, fmt.Sprintf(format, args...)}
}

func undecided(format string, args ...any) error {
	return &outcomeError{Undecided, fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) error {
	return &outcomeError{Skipped, fmt.Sprintf(format, args...)}
}

// Run runs one drill. It leaves nothing behind but the folder of one that did not pass, which Result.Folder names.
func Run(ctx context.Context, d Drill, c Config) Result {
	began := time.Now()
	r, err := newRig(ctx, d, c)
	result := &Result{Name: d.Name}
	if r != nil {
		result = &r.result
	}
	if err == nil {
		err = r.rehearse(d)
	}
	result.Verdict = Passed
	var outcome *outcomeError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		result.Verdict, result.Reason = Undecided, "interrupted"
	case errors.As(err, &outcome):
		result.Verdict, result.Reason = outcome.verdict, outcome.reason
	default:
		result.Verdict, result.Reason = Broken, err.Error()
	}
	if r != nil {
		if err := r.close(); err != nil && result.Verdict == Passed {
			result.Verdict, result.Reason = Broken, err.Error()
		}
	}
	result.Elapsed = time.Since(began)
	return *result
}

// rehearse is a drill from the first message to the proof.
func (r *rig) rehearse(d Drill) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if err := d.run(r); err != nil {
		return err
	}
	disaster := time.Now()
	if err := r.work(20); err != nil {
		return err
	}
	if err := r.agree(); err != nil {
		return err
	}
	r.result.Recovery = time.Since(disaster)
	return r.prove()
}

// IsViolation reports whether an error says that a root differed or that damage was not found.
func IsViolation(err error) bool {
	var o *outcomeError
	return errors.As(err, &o) && o.verdict == Violation
}
