package replay

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/pagetrie"
)

// BenchmarkLocalise finds the bytes in which two states of a size differ: compare by the tries of two checkpoints, search by
// repeating a log from one of them on a machine that makes a mistake in one message, down to that message and its bytes.
func BenchmarkLocalise(b *testing.B) {
	for _, mib := range []int{64, 1024} {
		b.Run(fmt.Sprintf("state=%dMiB", mib), func(b *testing.B) {
			s := newLargeState(b, mib<<8)
			b.Run("compare", s.compare)
			b.Run("search", s.search)
		})
	}
}

// largeState is a checkpoint of a canister with many pages, and the log behind it.
type largeState struct {
	engine  *canister.Engine
	m       *fsm.Machine
	log     *raft.InmemStore
	index   uint64
	pages   int
	folders [2]string // checkpoints before and behind the log
	roots   map[fsm.RoundNumber]pagetrie.Hash
}

const searchedRounds, searchedMessages = 8, 16

func newLargeState(b *testing.B, pages int) *largeState {
	s := &largeState{log: raft.NewInmemStore(), pages: pages, roots: map[fsm.RoundNumber]pagetrie.Hash{}}
	var err error
	if s.engine, err = canister.NewEngine(canister.EngineConfig{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.engine.Close() })
	if s.m, err = fsm.New(fsm.Config{Engine: s.engine}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.m.Close(); err != nil {
			b.Error(err)
		}
	})
	s.apply(b, fsm.Message{Kind: fsm.KindInstall, Canister: "memory", Module: module(b, "memory")})
	for at := 0; at < pages; at += 1 << 14 {
		s.apply(b, s.write(at, 1<<14, 64))
	}
	if s.folders[0], err = WriteCheckpoint(s.m, b.TempDir(), s.index); err != nil {
		b.Fatal(err)
	}
	for i := range searchedRounds {
		var messages []fsm.Message
		for j := range searchedMessages {
			messages = append(messages, s.write((i*searchedMessages+j)*pages/256, 1, 3))
		}
		data, err := s.apply(b, messages...).Encode()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.log.StoreLog(&raft.Log{Index: s.index, Term: 1, Type: raft.LogCommand, Data: data}); err != nil {
			b.Fatal(err)
		}
	}
	if s.folders[1], err = WriteCheckpoint(s.m, b.TempDir(), s.index); err != nil {
		b.Fatal(err)
	}
	return s
}

// write is a message that writes bytes into each of some pages.
func (s *largeState) write(at, pages, bytes int) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: "sequential",
		Arg: fmt.Appendf(nil, "area=%d at=%d pages=%d bytes=%d seed=%d", s.pages, at, pages, bytes, at+bytes)}
}

func (s *largeState) apply(b *testing.B, messages ...fsm.Message) *fsm.Round {
	s.index++
	round := &fsm.Round{Time: int64(s.index), Messages: messages}
	r, err := s.m.ApplyRound(s.index, round)
	if err != nil || r.Results[0].Status != fsm.StatusReplied {
		b.Fatal(r, err)
	}
	s.roots[r.Round] = r.Root
	return round
}

func (s *largeState) compare(b *testing.B) {
	for b.Loop() {
		d, err := CompareDirs(s.folders[0], s.folders[1], pagesShown)
		if err != nil || len(d.Canisters) != 1 || d.Canisters[0].Pages < searchedRounds*searchedMessages || len(d.Canisters[0].Shown) != pagesShown {
			b.Fatalf("%+v, %v", d, err)
		}
	}
}

func (s *largeState) search(b *testing.B) {
	const position = 11
	wrong := s.m.Latest().Round - 1
	subjects := &source{cfg: &Config{}}
	defer subjects.close()
	scratch := b.TempDir()
	for b.Loop() {
		report, err := Replay(b.Context(), Config{Log: s.log, Checkpoints: s.folders[:1], From: s.folders[0], Scratch: scratch,
			Known: func(n fsm.RoundNumber) (pagetrie.Hash, bool) { return s.roots[n], true },
			Open: func() (Machine, error) {
				m, err := subjects.subject(start{})
				return &alteredMachine{Machine: m, round: wrong, position: position, instead: s.write(7, 1, 5)}, err
			}})
		f := report.Finding
		if err != nil || f == nil || f.Cause == nil || f.Cause.Round != wrong || f.Cause.Position != position || f.Difference.Canisters[0].Pages == 0 {
			b.Fatalf("%+v, %v", f, err)
		}
	}
}
