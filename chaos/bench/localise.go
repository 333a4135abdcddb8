package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/chaos/replay"
	"lockstep/figure"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/testdata"
)

// localise finds the bytes in which two large states differ: by the tries of two checkpoints, and by repeating a log from one of them on
// a machine that makes a mistake in one message, down to that message and its bytes.
func (b *run) localise() (err error) {
	dir, err := os.MkdirTemp(b.Dir, "lockstep-bench-")
	if err != nil {
		return fmt.Errorf("make folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	engine, err := canister.NewEngine(canister.EngineConfig{})
	if err != nil {
		return err
	}
	defer engine.Close()
	s := &largeState{dir: dir, engine: engine, log: raft.NewInmemStore(), pages: b.MiB << 8, roots: map[fsm.RoundNumber]pagetrie.Hash{}}
	if s.m, err = s.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.m.Close()) }()
	if err := s.fill(); err != nil {
		return err
	}
	for _, of := range []struct {
		work string
		find func() error
	}{
		{"two checkpoints of %d MiB: the pages and bytes that differ", s.compare},
		{"a replica of %d MiB that disagrees: round, message, page, bytes", func() error { return s.search(b) }},
	} {
		began := time.Now()
		if err := of.find(); err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		b.figure(figure.Figure{Work: fmt.Sprintf(of.work, b.MiB), Goal: "2 s", Met: took <= 2, Measured: fmt.Sprintf("%.3f s", took),
			Values: map[string]float64{"s": took}})
	}
	return nil
}

// largeState is a machine with a canister of many pages, checkpoints of it, and the log between them.
type largeState struct {
	dir     string
	engine  *canister.Engine
	m       *fsm.Machine
	log     *raft.InmemStore
	index   uint64
	pages   int
	folders [2]string // checkpoints before and behind the log
	roots   map[fsm.RoundNumber]pagetrie.Hash
}

const searchedRounds, searchedMessages = 8, 16

func (s *largeState) open() (*fsm.Machine, error) { return fsm.New(fsm.Config{Engine: s.engine}) }

// fill makes the states and the log.
func (s *largeState) fill() error {
	code, _, err := testdata.Canister("memory")
	if err != nil {
		return err
	}
	if _, err := s.apply(fsm.Message{Kind: fsm.KindInstall, Canister: "memory", Module: code}); err != nil {
		return err
	}
	const atOnce = 1 << 14
	for at := 0; at < s.pages; at += atOnce {
		if _, err := s.apply(s.write(at, min(atOnce, s.pages-at), 64)); err != nil {
			return err
		}
	}
	if err := s.checkpoint(0); err != nil {
		return err
	}
	for i := range searchedRounds {
		var messages []fsm.Message
		for j := range searchedMessages {
			messages = append(messages, s.write((i*searchedMessages+j)*s.pages/256, 1, 3))
		}
		round, err := s.apply(messages...)
		if err != nil {
			return err
		}
		data, err := round.Encode()
		if err != nil {
			return err
		}
		if err := s.log.StoreLog(&raft.Log{Index: s.index, Term: 1, Type: raft.LogCommand, Data: data}); err != nil {
			return err
		}
	}
	return s.checkpoint(1)
}

// write is a message that writes bytes into each of some pages.
func (s *largeState) write(at, pages, bytes int) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: "sequential",
		Arg: fmt.Appendf(nil, "area=%d at=%d pages=%d bytes=%d seed=%d", s.pages, at, pages, bytes, at+bytes)}
}

func (s *largeState) apply(messages ...fsm.Message) (*fsm.Round, error) {
	s.index++
	round := &fsm.Round{Time: int64(s.index), Messages: messages}
	r, err := s.m.ApplyRound(s.index, round)
	if err != nil {
		return nil, err
	}
	for i := range r.Results {
		if r.Results[i].Status != fsm.StatusReplied {
			return nil, fmt.Errorf("message %d of round %d was not carried out: %v", i, r.Round, r.Results[i].Status)
		}
	}
	s.roots[r.Round] = r.Root
	return round, nil
}

func (s *largeState) checkpoint(i int) (err error) {
	s.folders[i], err = replay.WriteCheckpoint(s.m, filepath.Join(s.dir, fmt.Sprint(i)), s.index)
	return err
}

func (s *largeState) compare() error {
	const shown = 16
	d, err := replay.CompareDirs(s.folders[0], s.folders[1], shown)
	if err != nil {
		return err
	}
	if len(d.Canisters) != 1 || d.Canisters[0].Pages < searchedRounds*searchedMessages || len(d.Canisters[0].Shown) != shown {
		return fmt.Errorf("the states differ in more than %+v", d)
	}
	return nil
}

func (s *largeState) search(b *run) error {
	const position = 11
	wrong := s.m.Latest().Round - 1
	report, err := replay.Replay(b.ctx, replay.Config{Log: s.log, Checkpoints: s.folders[:1], From: s.folders[0], Scratch: s.dir,
		Known: func(n fsm.RoundNumber) (pagetrie.Hash, bool) { return s.roots[n], true },
		Open: func() (replay.Machine, error) {
			m, err := s.open()
			return &mistaken{Machine: m, round: wrong, position: position, instead: s.write(7, 1, 5)}, err
		}})
	if err != nil {
		return err
	}
	f := report.Finding
	if f == nil || f.Cause == nil || f.Difference == nil || f.Cause.Round != wrong || f.Cause.Position != position || f.Difference.Canisters[0].Pages == 0 {
		return fmt.Errorf("message %d of round %d was carried out wrongly, and %+v was found", position, wrong, f)
	}
	return nil
}

// mistaken is a machine that carries out another message in the place of one.
type mistaken struct {
	replay.Machine
	round    fsm.RoundNumber
	position int
	instead  fsm.Message
}

// ApplyRound applies the round, or what the machine takes it for.
func (m *mistaken) ApplyRound(index uint64, round *fsm.Round) (*fsm.RoundResult, error) {
	if m.Latest().Round+1 == m.round && len(round.Messages) > m.position {
		changed := *round
		changed.Messages = append([]fsm.Message(nil), round.Messages...)
		changed.Messages[m.position] = m.instead
		round = &changed
	}
	return m.Machine.ApplyRound(index, round)
}
