package bench

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// machine is a state machine with its checkpoints, driven by hand.
type machine struct {
	*fsm.Machine
	checkpoints *snapshot.Store
	dir         string
	index       uint64
}

func (b *run) newMachine(name string) (*machine, error) {
	m, err := fsm.New(fsm.Config{Engine: b.engine})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, name)
	s, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyIndexes, Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &machine{Machine: m, checkpoints: s, dir: dir}, nil
}

func (m *machine) close() error { return errors.Join(m.checkpoints.Close(), m.Close()) }

// apply applies a round of messages, all of which must be replied to.
func (m *machine) apply(messages ...fsm.Message) error {
	m.index++
	result, err := m.ApplyRound(m.index, &fsm.Round{Time: int64(m.index), Messages: messages})
	if err != nil {
		return err
	}
	for i := range result.Results {
		if r := &result.Results[i]; r.Status != fsm.StatusReplied {
			return fmt.Errorf("message %d of round %d: %s: %s", i, result.Round, r.Status, r.Text)
		}
	}
	return nil
}

func (m *machine) install(name string) error {
	code, _, err := testdata.Canister(name)
	if err != nil {
		return err
	}
	return m.apply(fsm.Message{Kind: fsm.KindInstall, Canister: name, Module: code})
}

func message(canister, method, arg string) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: canister, Method: method, Arg: []byte(arg)}
}

// persist writes what was captured.
func (m *machine) persist(captured raft.FSMSnapshot, index uint64) error {
	defer captured.Release()
	sink, err := m.checkpoints.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return err
	}
	return captured.Persist(sink)
}

func (m *machine) checkpoint() error {
	captured, err := m.Snapshot()
	if err != nil {
		return err
	}
	return m.persist(captured, m.index)
}

const (
	roundsMeasured  = 1500
	roundsBetween   = 100 // checkpoints
	areaOfRounds    = 32768
	pagesOfOneRound = 64
)

// rounds measures the time of each round of a run, while checkpoints are written beside and while none is.
func (b *run) rounds() (err error) {
	b.config.Progress("rounds beside checkpoints")
	m, err := b.newMachine("rounds")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	write := func(method string, pages, seed int) error {
		return m.apply(message("memory", method, fmt.Sprintf("area=%d pages=%d seed=%d", areaOfRounds, pages, seed)))
	}
	if err := errors.Join(m.install("memory"), write("sequential", areaOfRounds, 1), m.checkpoint()); err != nil {
		return err
	}
	var beside, alone, capturing []time.Duration
	var busy atomic.Bool
	written := make(chan error, roundsMeasured/roundsBetween+1)
	started := 0
	for i := range roundsMeasured {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if i%roundsBetween == 0 && !busy.Load() {
			start := time.Now()
			captured, err := m.Snapshot()
			if err != nil {
				return err
			}
			capturing = append(capturing, time.Since(start))
			busy.Store(true)
			index := m.index
			started++
			go func() {
				err := m.persist(captured, index)
				if err == nil {
					_, err = m.checkpoints.Merge()
				}
				busy.Store(false)
				written <- err
			}()
		}
		during := busy.Load()
		start := time.Now()
		if err := write("random", pagesOfOneRound, i+2); err != nil {
			return err
		}
		if took := time.Since(start); during {
			beside = append(beside, took)
		} else if !busy.Load() {
			alone = append(alone, took)
		}
	}
	for range started {
		err = errors.Join(err, <-written)
	}
	b.pauses(alone, beside, capturing)
	return err
}

func (b *run) pauses(alone, beside, capturing []time.Duration) {
	middle := median(alone)
	over := 0
	for _, d := range beside {
		if d > 2*middle {
			over++
		}
	}
	x := ratio(quantile(beside, 0.99), middle)
	share := float64(over) / float64(max(len(beside), 1))
	others := 0
	for _, d := range alone {
		if d > 2*middle {
			others++
		}
	}
	b.figure(Figure{Work: fmt.Sprintf("%d rounds of %d pages beside checkpoints of %d MiB and their merges, 99th of 100, of the median of %d alone", len(beside), pagesOfOneRound, areaOfRounds>>8, len(alone)),
		Goal: "2x", Measured: fmt.Sprintf("%.2fx: %.2f and %.2f ms, median beside %.2f, longest %.1f; over 2x: %d of %d, alone %d of %d", x, millis(quantile(beside, 0.99)), millis(middle),
			millis(median(beside)), millis(quantile(beside, 1)), over, len(beside), others, len(alone)), Met: x <= 2,
		Values: map[string]float64{"ratio": x, "median alone ms": millis(middle), "median beside ms": millis(median(beside)), "longest beside ms": millis(quantile(beside, 1)),
			"longest alone ms": millis(quantile(alone, 1)), "over 2x": share}})
	b.figure(Figure{Work: "capturing a state on the apply goroutine, longest", Measured: fmt.Sprintf("%.1f us", millis(quantile(capturing, 1))*1000),
		Values: map[string]float64{"us": millis(quantile(capturing, 1)) * 1000}})
}
