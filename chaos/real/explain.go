package real

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// explainWithin bounds the search for a divergence's cause.
const explainWithin = 30 * time.Second

// replays repeat the log of a replica when the run is over, on another tracker.
func (r *run) replays() []check.Replay {
	if r.NoReplays {
		return nil
	}
	return []check.Replay{{Name: "the log of a replica, tracker=compare", Run: r.replay}}
}

// replay repeats the log of the first replica whose folder can be read.
func (r *run) replay(ctx context.Context, visit func(check.Replayed) error) error {
	var err error
	for _, m := range r.members {
		var f *replay.Folder
		if f, err = replay.OpenFolder(m.dir); err != nil {
			continue
		}
		defer f.Close()
		_, err = replay.Replay(ctx, replay.Config{Log: f.Log, Checkpoints: f.Checkpoints, Scratch: r.data,
			To:      fsm.RoundNumber(r.track.view().newest),
			Options: replay.Options{Tracker: memstore.TrackerCompare, ModuleCache: filepath.Join(m.dir, "modules")},
			Visit: func(res *fsm.RoundResult) error {
				return visit(check.Replayed{Round: uint64(res.Round), Index: res.Index, Root: res.Root})
			}})
		return err
	}
	return fmt.Errorf("no replica's folder can be read: %w", err)
}

// explain says what is known about a difference between replicas: it repeats the logs of those that are part of it, and holds what
// it finds against what they have said.
func (r *run) explain(ctx context.Context, v *check.Verdict) []string {
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	var lines []string
	for _, f := range v.Findings {
		if f.Violation == nil || f.State != check.Broken || len(f.Violation.Roots) == 0 {
			continue
		}
		for _, n := range f.Violation.Nodes {
			lines = append(lines, r.examine(ctx, n)...)
		}
		break
	}
	return lines
}

// examine repeats one replica's log and compares every round with what was reported first of it.
func (r *run) examine(ctx context.Context, number int) []string {
	m := r.members[number-1]
	f, err := replay.OpenFolder(m.dir)
	if err != nil {
		return []string{fmt.Sprintf("%s: its log cannot be repeated: %v", m, err)}
	}
	defer f.Close()
	report, err := replay.Replay(ctx, replay.Config{Log: f.Log, Checkpoints: f.Checkpoints, Scratch: r.data,
		Options: replay.Options{Tracker: memstore.TrackerCompare, ModuleCache: filepath.Join(m.dir, "modules")},
		Known: func(round fsm.RoundNumber) (pagetrie.Hash, bool) {
			e, ok := r.known[uint64(round)]
			return e.Root, ok && int(e.Node) != number
		}})
	if err != nil {
		return []string{fmt.Sprintf("%s: its log cannot be repeated: %v", m, err)}
	}
	if report.Finding == nil {
		return []string{fmt.Sprintf("%s: its log, repeated from %s to round %d, gives the roots that the others have: what it applied was not what is in its log",
			m, filepath.Base(report.From), report.Round)}
	}
	return append([]string{fmt.Sprintf("%s: repeating its log differs from round %d on: %s", m, report.Finding.Round, report.Finding.Says)},
		describe(report.Finding)...)
}

// describe tells a finding in lines.
func describe(f *replay.Finding) []string {
	var lines []string
	if c := f.Cause; c != nil {
		lines = append(lines, fmt.Sprintf("message %d of %d in round %d (entry %d): %s %s.%s, message %d of session %d",
			c.Position+1, c.Messages, c.Round, c.Index, c.Kind, c.Canister, c.Method, c.Sequence, c.Session))
	}
	if d := f.Difference; d != nil {
		for _, c := range d.Canisters {
			for _, p := range c.Shown {
				lines = append(lines, fmt.Sprintf("canister %s: %v", c.Name, p))
			}
		}
	}
	return append(lines, f.Notes...)
}
