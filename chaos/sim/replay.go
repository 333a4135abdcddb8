package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"

	"lockstep/chaos/check"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/snapshot"
)

// replays repeat the committed log when the run is over: from the empty state, and behind a checkpoint that the run wrote.
func (c *cluster) replays() []check.Replay {
	return []check.Replay{
		{Name: "the empty state, tracker=compare", Run: func(ctx context.Context, visit func(check.Replayed) error) error {
			return c.replay(ctx, nil, memstore.TrackerCompare, visit)
		}},
		{Name: "a checkpoint, tracker=cow", Run: c.replayCheckpoint},
	}
}

// committed are the rounds that any replica has applied, in order.
func (c *cluster) committed() []*committedRound {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.log), func(a, b *committedRound) int { return cmp.Compare(a.entry.Index, b.entry.Index) })
}

// replay repeats the log on a new machine, behind a checkpoint if there is one.
func (c *cluster) replay(ctx context.Context, from *snapshot.Checkpoint, t memstore.Tracker, visit func(check.Replayed) error) (err error) {
	machine, err := c.newMachine(0, "", fsm.Config{Tracker: t, Workers: 1, RootsKept: rootsKept})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := machine.Close(); err == nil { // a difference that was found is told as it is
			err = closeErr
		}
	}()
	var after uint64
	if from != nil {
		if err := machine.RestoreCheckpoint(from); err != nil {
			return err
		}
		after = from.Index
	}
	var applying node.Machine = machine
	if c.seams.Replays && c.seams.Machine != nil {
		applying = c.seams.Machine(0, machine)
	}
	for _, r := range c.committed() {
		if r.entry.Index <= after {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		entry := r.entry
		result, ok := applying.Apply(&entry).(*fsm.RoundResult)
		if !ok {
			return fmt.Errorf("entry %d: %w", entry.Index, machine.Stopped())
		}
		if err := visit(replayed(r, result)); err != nil {
			return err
		}
	}
	return nil
}

func replayed(r *committedRound, result *fsm.RoundResult) check.Replayed {
	out := check.Replayed{Round: uint64(result.Round), Index: result.Index, Root: result.Root}
	for i := range result.Results {
		if i < len(r.ids) && r.ids[i].session != 0 {
			out.Results = append(out.Results, check.Result{Session: r.ids[i].session, Sequence: r.ids[i].sequence,
				Ran: ranIn(&result.Results[i]), Reply: digestOf(&result.Results[i])})
		}
	}
	return out
}

// replayCheckpoint repeats the log behind the oldest sound checkpoint that a replica still has. If there is none, or nothing was
// committed behind it, it repeats all of the log.
func (c *cluster) replayCheckpoint(ctx context.Context, visit func(check.Replayed) error) error {
	var oldest *snapshot.Store
	var found *raft.SnapshotMeta
	for _, m := range c.members {
		l := m.current()
		if l == nil || !l.ready() {
			continue
		}
		l.mu.Lock()
		store := l.plain
		l.mu.Unlock()
		metas, err := store.List()
		if err != nil || len(metas) == 0 {
			continue
		}
		meta := metas[len(metas)-1]
		if found != nil && found.Index <= meta.Index {
			continue
		}
		if _, err := snapshot.Verify(filepath.Join(l.files.tree(), meta.ID), fsm.Hashing()); snapshot.IsDamage(err) {
			continue // a fault of the plan
		}
		oldest, found = store, meta
	}
	log := c.committed()
	if found == nil || len(log) == 0 || log[len(log)-1].entry.Index <= found.Index {
		return c.replay(ctx, nil, memstore.TrackerCow, visit)
	}
	checkpoint, err := oldest.OpenCheckpoint(found.ID)
	if err != nil {
		return err
	}
	err = c.replay(ctx, checkpoint, memstore.TrackerCow, visit)
	if closeErr := checkpoint.Close(); err == nil {
		err = closeErr
	}
	return err
}
