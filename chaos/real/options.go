package real

import (
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/workload"
)

// Options say how a plan is run; they change nothing that the plan decides.
type Options struct {
	// Program is executed for each replica, with Args (argv[0] first) and the replica's configuration behind them; it must call
	// Serve. Required.
	Program string
	Args    []string
	// Dir is the report's folder, which must not hold a report yet. Required.
	Dir string
	// Scratch is where the replicas' data lie while the run lasts; "" is the system's temporary folder. Data of a run with a
	// violation is moved into the report's folder.
	Scratch string
	// Version, Rerun and Shrink are for the report.
	Version, Rerun, Shrink string
	// Progressed is told how the run is about twice a second; nil tells nobody.
	Progressed func(Progress)
	// Interrupt, when it is closed, ends the faults before the plan's time: the quiet ending and the judgement follow as ever, and the
	// verdict is undecided at best. nil never is.
	Interrupt <-chan struct{}
	// Load is what clients send; nil for the embedded workload that the plan names. Its canisters keep no books that are looked at.
	Load *workload.Load
	// Lie plants a bug for tests of the alarm: a follower gets one message with another argument than the others.
	Lie bool
}

// Progress is how a run is.
type Progress struct {
	Elapsed  time.Duration
	Phase    string
	Round    uint64
	Leader   int
	Up       int
	Begun    int
	Verified int
}

// Result is what a run ends with.
type Result struct {
	Verdict check.Verdict
	// Faults counts those that began, Struck those that had an effect, Verified those of these after which all replicas were
	// seen equal again; Elapsed is the time from the first to the end of the quiet ending.
	Faults, Struck, Verified int
	// Interrupted: faults did not go on for the plan's time, because somebody ended the run.
	Interrupted bool
	Elapsed     time.Duration
	// Converged is how long after healing all replicas were equal; 0 if they never were.
	Converged time.Duration
}

// PerMinute is the rate of verified faults.
func (r *Result) PerMinute() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Verified) / r.Elapsed.Minutes()
}
