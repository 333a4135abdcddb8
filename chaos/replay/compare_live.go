package replay

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// liveBatch is how many parts of a state are asked for at once; a node gives no more.
const liveBatch = 64

// CompareLive holds the states of two live replicas against each other: parts with equal hashes are not looked into, pages are
// found by descending the hashes of the two page tries, and the bytes of at most show pages of each memory are read.
func CompareLive(ctx context.Context, a, b *node.HeldState, show int) (*StateDifference, error) {
	if a.Root == b.Root {
		return &StateDifference{}, nil
	}
	w := liveWalk{ctx: ctx, sides: [2]*node.HeldState{a, b}, show: show}
	w.difference.Fields = stateFields(headOf(a), headOf(b))
	if err := w.sessions(); err != nil {
		return nil, err
	}
	if err := w.canisters(); err != nil {
		return nil, err
	}
	var roots [2]pagetrie.Hash
	for i, s := range w.sides {
		if _, err := hex.Decode(roots[i][:], []byte(s.Root[:min(64, len(s.Root))])); err != nil {
			return nil, fmt.Errorf("root of node %s: %w", s.Node, err)
		}
	}
	return w.difference.orRoots(roots[0], roots[1]), nil
}

func headOf(s *node.HeldState) *fsm.Contents {
	return &fsm.Contents{Round: fsm.RoundNumber(s.Round), Time: s.Time, NextSession: fsm.SessionID(s.NextSession),
		NextCanister: fsm.CanisterID(s.NextCanister), Limits: s.Limits}
}

// liveWalk is one run of CompareLive.
type liveWalk struct {
	ctx        context.Context
	sides      [2]*node.HeldState
	show       int
	difference StateDifference
}

// differing are the numbers of parts that the two sides do not have alike, ascending.
func differing(a, b []node.PartReport) []uint64 {
	hashes := map[uint64][2]string{}
	for side, list := range [][]node.PartReport{a, b} {
		for _, p := range list {
			both := hashes[p.Number]
			both[side] = p.Hash
			hashes[p.Number] = both
		}
	}
	var out []uint64
	for number, both := range hashes {
		if both[0] != both[1] {
			out = append(out, number)
		}
	}
	slices.Sort(out)
	return out
}

func (w *liveWalk) sessions() error {
	parts := differing(w.sides[0].Sessions, w.sides[1].Sessions)
	var found [2][]fsm.SessionContents
	for batch := range slices.Chunk(parts, liveBatch) {
		for i, s := range w.sides {
			reply, err := s.ReadState(w.ctx, node.ReadRequest{Sessions: batch})
			if err != nil {
				return fmt.Errorf("sessions of node %s: %w", s.Node, err)
			}
			found[i] = append(found[i], reply.Sessions...)
		}
	}
	w.difference.Fields = append(w.difference.Fields, sessionFields(found[0], found[1])...)
	return nil
}

func (w *liveWalk) canisters() error {
	ids := differing(w.sides[0].Canisters, w.sides[1].Canisters)
	for batch := range slices.Chunk(ids, liveBatch) {
		var states [2][]node.CanisterState
		var contents [2][]fsm.CanisterContents
		for i, s := range w.sides {
			reply, err := s.ReadState(w.ctx, node.ReadRequest{Canisters: batch})
			if err != nil {
				return fmt.Errorf("canisters of node %s: %w", s.Node, err)
			}
			states[i] = reply.Canisters
			for _, c := range reply.Canisters {
				contents[i] = append(contents[i], c.Contents)
			}
		}
		for _, pair := range pairCanisters(contents[0], contents[1]) {
			find := func(name string) (*memoryPair, error) { return w.memory(states, name) }
			if err := w.difference.add(pair, find, w.show); err != nil {
				return err
			}
		}
	}
	return nil
}

// memory walks down the hashes of a memory.
func (w *liveWalk) memory(states [2][]node.CanisterState, name string) (*memoryPair, error) {
	var reports [2]node.MemoryReport
	var maps [2]pagetrie.Remote
	for i := range states {
		for _, c := range states[i] {
			for _, m := range c.Memories {
				if m.Name == name {
					reports[i] = m
				}
			}
		}
		var err error
		if maps[i], err = w.sides[i].Map(w.ctx, reports[i]); err != nil {
			return nil, err
		}
	}
	if reports[0] == reports[1] {
		return nil, nil
	}
	changes, err := pagetrie.DiffRemotes(maps[0], maps[1])
	if err != nil {
		return nil, fmt.Errorf("memory %s: %w", name, err)
	}
	pair := &memoryPair{sizes: [2]uint64{reports[0].Size, reports[1].Size}}
	for _, c := range changes {
		pair.pages = append(pair.pages, c.Key)
	}
	hashes := func(page uint64) pagetrie.RemoteChange {
		i, _ := slices.BinarySearchFunc(changes, page, func(c pagetrie.RemoteChange, page uint64) int { return cmp.Compare(c.Key, page) })
		return changes[i]
	}
	pair.read = func(pages []uint64) ([]PageDifference, error) { return w.pages(name, pages, hashes) }
	return pair, nil
}

// pages reads pages on both sides and holds them against the hashes by which they were found.
func (w *liveWalk) pages(memory string, pages []uint64, hashes func(page uint64) pagetrie.RemoteChange) (out []PageDifference, err error) {
	for batch := range slices.Chunk(pages, liveBatch) {
		var read [2][][]byte
		for i, s := range w.sides {
			if read[i], err = s.Pages(w.ctx, memory, batch); err != nil {
				return nil, err
			}
		}
		for i, page := range batch {
			c := hashes(page)
			for side, want := range []pagetrie.Hash{c.Local, c.Remote} {
				b := read[side][i]
				if len(b) == 0 {
					read[side][i] = make([]byte, snapshot.PageSize)
				}
				if has := []bool{c.HasLocal, c.HasRemote}[side]; has != (len(b) > 0) || has && fsm.Hashing().Page(b) != want {
					return nil, fmt.Errorf("memory %s: node %s gives page %d with other bytes than its hash says", memory, w.sides[side].Node, page)
				}
			}
			out = append(out, PageDifference{page, snapshot.DiffBytes(read[0][i], read[1][i])})
		}
	}
	return out, nil
}
