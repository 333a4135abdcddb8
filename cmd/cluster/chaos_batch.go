package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// batch is many runs, a seed each.
type batch struct {
	out         *chaosOutput
	first, last uint64
	// whole counts the runs that came to the end of their plans.
	whole uint64
}

// interruption says how far a batch was when the user ended it; "" if it was over.
func (b *batch) interruption() string {
	if all := b.last - b.first + 1; b.whole < all {
		return fmt.Sprintf("interrupted after %d of %d seeds", b.whole, all)
	}
	return ""
}

// manySeeds is the size of a batch from which on a rare path that was never reached leaves the batch undecided, and runs that
// agreed have no lines of their own.
const manySeeds = 300

// runBatch runs the plans of seeds, prints a line for each and a summary.
func (o *chaosOptions) runBatch(ctx context.Context, b batch) error {
	if err := o.checkSeedDirs(b.first, b.last); err != nil {
		return &exitError{exitFault, err}
	}
	var sum check.Batch
	var total chaosTotals
	var found chaosFound
	began := time.Now()
	many := b.last-b.first >= manySeeds
	pace := pace{began: began, shown: began, runs: b.last - b.first + 1}
	var mu sync.Mutex
	var errs []error
	each := func(seed uint64, r chaosRun) {
		mu.Lock()
		defer mu.Unlock()
		if r.verdict.Judgement == check.Agreed && o.out == "" && r.dir != "" {
			errs = append(errs, os.RemoveAll(r.dir))
		} else if r.dir != "" {
			r.kept = true
		}
		if !r.interrupted {
			b.whole++
		}
		sum.Add(r.verdict)
		total.add(&r)
		found.add(seed, &r)
		if !many || r.verdict.Judgement != check.Agreed || b.out.json {
			b.out.line(seed, r)
		}
		if many {
			b.out.pace(&pace, &sum, &total)
		}
	}
	var err error
	if o.real {
		err = o.realSeeds(ctx, b, each)
	} else {
		err = o.simSeeds(ctx, b, each)
	}
	wanted := wantedMarks(o.real)
	interruption := ""
	if o.interrupted() {
		interruption = b.interruption()
	}
	b.out.summary(&sum, wanted, &found, total.sentence(o.real, time.Since(began)), interruption)
	if err := errors.Join(append(errs, err)...); err != nil {
		return &exitError{exitFault, err}
	}
	if b.last-b.first+1 < manySeeds {
		wanted = []history.MarkName{} // too few to expect all
	}
	judgement := sum.Judgement(wanted)
	if judgement == check.Agreed && interruption != "" {
		judgement = check.Undecided
	}
	return o.exit(judgement, nil)
}

// seedDir names the folder of a seed's report in that of a batch.
func seedDir(seed uint64) string { return seedDirPrefix + strconv.FormatUint(seed, 10) }

const seedDirPrefix = "seed-"

// checkSeedDirs refuses a folder that holds a report of one of the seeds already.
func (o *chaosOptions) checkSeedDirs(first, last uint64) error {
	if o.out == "" {
		return nil
	}
	entries, err := os.ReadDir(o.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), seedDirPrefix)
		if seed, err := strconv.ParseUint(text, 10, 64); ok && err == nil && first <= seed && seed <= last {
			return fmt.Errorf("--out: %s holds a report of seed %d already", o.out, seed)
		}
	}
	return nil
}

// seedRun is the run of a seed.
func (o *chaosOptions) seedRun(seed uint64) (execution, error) {
	e := execution{plan: o.draw(seed), rerun: o.rerun(seed)}
	var err error
	if o.out != "" {
		e.dir, err = filepath.Abs(filepath.Join(o.out, seedDir(seed)))
	} else if o.real {
		e.dir, err = os.MkdirTemp("", "lockstep-chaos-")
	}
	return e, err
}

// wantedMarks are the rare paths that a layer can reach.
func wantedMarks(real bool) []history.MarkName {
	if !real {
		return history.MarkNames()
	}
	return []history.MarkName{history.MarkInstall, history.MarkTruncated, history.MarkRestored, history.MarkReplayed,
		history.MarkLeaderInFlight, history.MarkUnknown, history.MarkDiskFull, history.MarkDiskFailed, history.MarkSyncFailed,
		history.MarkPaused, history.MarkCheckpointBad, history.MarkWiped, history.MarkTransfer, history.MarkPartitionLeader,
		history.MarkOptionsChanged, history.MarkStaleRead, history.MarkOutOfFuel}
}

// pace says how fast a batch goes.
type pace struct {
	began, shown time.Time
	runs         uint64
}

// How often the pace is shown: on a terminal, where it is written over, and elsewhere.
const (
	paceOnTerminal = time.Second
	paceInFile     = 15 * time.Second
)

// pace prints how far a batch is and how fast it goes, now and then. The caller must hold what guards the sums.
func (t *chaosOutput) pace(p *pace, sum *check.Batch, total *chaosTotals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	every := paceInFile
	if t.screen.terminal {
		every = paceOnTerminal
	}
	now := time.Now()
	if t.json || now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	done, bad := uint64(0), uint64(0)
	for j, n := range sum.Runs {
		if done += n; check.Judgement(j) != check.Agreed {
			bad += n
		}
	}
	rate := float64(done) / now.Sub(p.began).Seconds()
	left := time.Duration(float64(p.runs-done) / rate * float64(time.Second))
	t.screen.show([]string{fmt.Sprintf("%d of %d seeds, %d not agreed, %.1f a second, %v to go; %.0f times real time a core", done, p.runs, bad, rate,
		left.Round(time.Second), total.speed())})
}

// chaosTotals sums up what check.Batch does not.
type chaosTotals struct {
	simulated, cpu, took time.Duration
	struck, verified     int
}

func (t *chaosTotals) add(r *chaosRun) {
	t.simulated, t.cpu, t.took = t.simulated+r.simulated, t.cpu+r.cpu, t.took+r.took
	t.struck, t.verified = t.struck+r.struck, t.verified+r.verified
}

func (t *chaosTotals) sentence(real bool, elapsed time.Duration) string {
	if real {
		return fmt.Sprintf("%d verified faults in %v: %.0f a minute, %.0f a minute a core", t.verified, elapsed.Round(time.Second),
			float64(t.verified)/elapsed.Minutes(), perMinute(t.verified, processorTime()))
	}
	perMinute := 0.0
	if t.cpu > 0 {
		perMinute = float64(t.struck) / t.cpu.Minutes()
	}
	return fmt.Sprintf("%v simulated in %v: %.0f times real time a core; %d faults with an effect: %.0f a minute a core",
		t.simulated.Round(time.Second), elapsed.Round(time.Second), t.speed(), t.struck, perMinute)
}

// speed is simulated time per processor time.
func (t *chaosTotals) speed() float64 {
	if t.cpu == 0 {
		return 0
	}
	return t.simulated.Seconds() / t.cpu.Seconds()
}
