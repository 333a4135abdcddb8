package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lockstep/canister"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node/logfile"
)

// replayOptions are the flags of `cluster replay`.
type replayOptions struct {
	from     string
	to       uint64
	tracker  string
	optLevel string
	workers  int
	scratch  string
	asJSON   bool
}

func newReplayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:     "replay DIR",
		Short:   "Repeat a stopped replica's log on a fresh state machine and compare every root on the way",
		GroupID: groupDisk,
		Long: `Repeats the log in a replica's data folder and compares the root after every round with what later rounds attest and with
the replica's checkpoints. Of a run's folder every replica's log is repeated, one after the other. Other trackers, levels of optimisation and numbers of workers must not
change a root. A difference is taken apart: round, message, canister, page, bytes. Nothing in the folder is written, and
a folder in use is refused.

Rounds at the end of the log that no later round attests are repeated too; they may not have been committed.

Exit codes: 0 every root agrees, 1 one differs or the log is damaged, 2 nothing could be compared or the log ends before --to,
3 it could not be done.`,
		Example: `  cluster replay ./demo
  cluster replay ./demo/n1
  cluster replay ./demo/n1 --tracker compare --opt-level none --workers 1
  cluster replay ./demo/n1 --from checkpoint-2048-2-0 --to 3000`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return usageError(c, err)
			}
			return o.runAll(c, args[0])
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.from, "from", "", `where to begin: "empty", or a checkpoint (by default the oldest of these that the log reaches)`)
	f.Uint64Var(&o.to, "to", 0, "the last round to repeat (0: all)")
	f.StringVar(&o.tracker, "tracker", "", "how changed pages are found: "+trackers())
	f.StringVar(&o.optLevel, "opt-level", "", "optimisation of the WebAssembly compiler: "+optLevels())
	f.IntVar(&o.workers, "workers", 0, "canisters of a round that run at the same time (0: one a processor)")
	f.StringVar(&o.scratch, "scratch", "", "folder for the states that a search for a difference writes (default: the system's temporary one)")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object for each replica")
	return c
}

func (o *replayOptions) check() error {
	var errs []error
	if o.tracker != "" {
		if _, err := memstore.ParseTracker(o.tracker); err != nil {
			errs = append(errs, fmt.Errorf("--tracker: %w", err))
		}
	}
	if err := (canister.EngineConfig{OptLevel: canister.OptLevel(o.optLevel)}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("--opt-level: %w", err))
	}
	if o.workers < 0 || o.workers > 1024 {
		errs = append(errs, fmt.Errorf("--workers %d: use 0 to 1024", o.workers))
	}
	return errors.Join(errs...)
}

// runAll repeats the log of the replica that a folder is of, or of all replicas of a run. Of several outcomes the worst counts.
func (o *replayOptions) runAll(c *cobra.Command, dir string) error {
	folders, err := replicaFolders(dir)
	if err != nil {
		return err
	}
	var worst *exitError
	for _, folder := range folders {
		if len(folders) > 1 && !o.asJSON {
			fmt.Fprintf(c.OutOrStdout(), "%s:\n", folder)
		}
		err := o.run(c, folder)
		var code *exitError
		if err != nil && !errors.As(err, &code) {
			return err
		}
		if code == nil {
			continue
		}
		if worst == nil {
			worst = &exitError{code: code.code}
		}
		worst.code, worst.err = min(worst.code, code.code), errors.Join(worst.err, code.err)
	}
	if worst != nil {
		return worst
	}
	return nil
}

// replicaFolders are the data folders of a run's replicas, ascending, or the folder itself if it is not a run's.
func replicaFolders(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, runManifest)); err != nil {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, replay.LogFile)); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the run in %s has no replica with a %s", dir, replay.LogFile)
	}
	return found, nil
}

func (o *replayOptions) run(c *cobra.Command, dir string) error {
	folder, err := replay.OpenFolder(dir)
	var damaged *logfile.DamageError
	if errors.As(err, &damaged) {
		return &exitError{exitBad, err}
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	ctx, forget := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer forget()
	report, err := replay.Replay(ctx, replay.Config{
		Log: folder.Log, Checkpoints: folder.Checkpoints, From: o.from, To: fsm.RoundNumber(o.to), Scratch: o.scratch,
		Options: replay.Options{Tracker: memstore.Tracker(o.tracker), OptLevel: canister.OptLevel(o.optLevel), Workers: o.workers},
	})
	var entry *replay.EntryError
	if errors.As(err, &entry) {
		return &exitError{exitBad, fmt.Errorf("%s, after round %d: %w; take the folder of another replica", dir, report.Round, err)}
	}
	if err != nil {
		return damageExit(fmt.Errorf("replay %s: %w", dir, err))
	}
	if err := printReplay(c.OutOrStdout(), dir, &report, o.asJSON); err != nil {
		return err
	}
	switch {
	case report.Finding != nil:
		return &exitError{exitBad, nil}
	case report.Round < fsm.RoundNumber(o.to):
		return &exitError{exitUndecided, fmt.Errorf("%s: round %d was not reached: the log ends with round %d", dir, o.to, report.Round)}
	case compared(&report) == 0:
		return &exitError{exitUndecided, fmt.Errorf("%s: nothing says what the roots should be: no round is attested and no checkpoint lies on the way", dir)}
	}
	return nil
}

// replayed is a report as JSON has it.
type replayed struct {
	Replica string `json:"replica"` // its data folder
	*replay.Report
}

// compared counts the roots that were held against another.
func compared(r *replay.Report) uint64 { return r.Attested + r.Known + comparedCheckpoints(r) }

func comparedCheckpoints(r *replay.Report) (n uint64) {
	for _, c := range r.Checkpoints {
		if c.Compared {
			n++
		}
	}
	return n
}

func printReplay(w io.Writer, dir string, r *replay.Report, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(&replayed{dir, r})
	}
	fmt.Fprintf(w, "from %s (round %d) to round %d, log index %d: %d rounds, %d messages in %s\n",
		r.From, r.FromRound, r.Round, r.Index, r.Rounds, r.Messages, r.Elapsed.Round(time.Millisecond))
	fmt.Fprintf(w, "root %s\n", r.Root)
	fmt.Fprintf(w, "compared with the roots that %d later rounds attest%s, and with %d checkpoints on the way\n", r.Attested, attestedUpTo(r), comparedCheckpoints(r))
	for _, c := range r.Checkpoints {
		if !c.Compared {
			fmt.Fprintf(w, "not compared: %s: %s\n", c.Path, c.Note)
		}
	}
	switch {
	case r.Finding != nil:
		printFinding(w, r.Finding)
	case compared(r) > 0:
		fmt.Fprintln(w, "every root agrees")
	}
	return nil
}

// attestedUpTo says how far the attestations reach, and that rounds behind them have none.
func attestedUpTo(r *replay.Report) string {
	switch {
	case r.Attested == 0:
		return ""
	case r.LastAttested < r.Round:
		return fmt.Sprintf(" (the newest is that of round %d: nothing behind attests rounds %d to %d)", r.LastAttested, r.LastAttested+1, r.Round)
	}
	return fmt.Sprintf(" (the newest is that of round %d)", r.LastAttested)
}

func printFinding(w io.Writer, f *replay.Finding) {
	fmt.Fprintf(w, "ROUND %d DIFFERS (round %d agreed)\n  replayed %s\n  expected %s (%s)\n", f.Round, f.Since, f.Got, f.Want, f.Says)
	if c := f.Cause; c != nil {
		fmt.Fprintf(w, "message %d of %d of round %d (log index %d): %s %s.%s, session %d sequence %d, %d bytes of argument\n",
			c.Position, c.Messages, c.Round, c.Index, c.Kind, c.Canister, c.Method, c.Session, c.Sequence, c.ArgBytes)
	}
	if f.Difference != nil {
		fmt.Fprintf(w, "A: %s\nB: %s\n", f.A, f.B)
		printStateDifference(w, f.Difference)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}
