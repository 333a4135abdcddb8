package real

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/chaos/check"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/memstore"
)

// explainWithin bounds the search for a divergence's cause; pagesShown are the pages of a canister of which bytes are told.
const (
	explainWithin = 30 * time.Second
	pagesShown    = 4
)

// replays repeat the log of a replica when the run is over, on another tracker.
func (r *run) replays() []check.Replay {
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
			To: fsm.RoundNumber(r.track.view().newest), Options: m.replayOptions(),
			Visit: func(res *fsm.RoundResult) error {
				return visit(check.Replayed{Round: uint64(res.Round), Index: res.Index, Root: res.Root})
			}})
		return err
	}
	return fmt.Errorf("no replica's folder can be read: %w", err)
}

func (m *member) replayOptions() replay.Options {
	return replay.Options{Tracker: memstore.TrackerCompare, ModuleCache: filepath.Join(m.dir, "modules")}
}

// explain says what is known about a difference between two replicas: it compares their logs, then repeats both up to the round and
// compares the states. What it finds is put into the violation.
func (r *run) explain(ctx context.Context, v *check.Verdict) {
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	for _, f := range v.Findings {
		if w := f.Violation; w != nil && f.State == check.Broken && (len(w.Nodes) > 1 || len(w.Nodes) == 1 && len(w.Roots) > 1) {
			began := time.Now()
			w.Where = r.differences(ctx, w)
			w.Searched = time.Since(began)
			return
		}
	}
}

// differences compares the two replicas that a violation names. If it names one only, because an answer to a client says otherwise,
// the other is the first one that differs from it.
func (r *run) differences(ctx context.Context, v *check.Violation) []string {
	a, others := r.members[v.Nodes[0]-1], r.members
	if len(v.Nodes) > 1 {
		others = []*member{r.members[v.Nodes[1]-1]}
	}
	var lines []string
	for _, b := range others {
		if a == b {
			continue
		}
		found, err := r.compare(ctx, v, a, b)
		if err == nil {
			return found
		}
		if lines = found; !errors.Is(err, errSame) {
			lines = append(lines, "nothing more can be said: "+err.Error())
		}
	}
	return lines
}

// errSame says that the logs of two replicas, and what they give, are the same.
var errSame = errors.New("no difference")

// compare tells the differences of two replicas' logs and states in lines. The error is errSame if there are none.
func (r *run) compare(ctx context.Context, v *check.Violation, a, b *member) ([]string, error) {
	fa, err := replay.OpenFolder(a.dir)
	if err != nil {
		return nil, err
	}
	defer fa.Close()
	fb, err := replay.OpenFolder(b.dir)
	if err != nil {
		return nil, err
	}
	defer fb.Close()
	lines, err := compareLogs([2]*member{a, b}, [2]raft.LogStore{fa.Log, fb.Log})
	if err != nil {
		return lines, err
	}
	round := v.Round
	if len(v.Roots) < 2 { // the logs were found to differ before the states were
		nodes := r.track.view().nodes
		round = min(nodes[a.number-1].round, nodes[b.number-1].round)
	}
	ca, err := r.stateAt(ctx, a, fa, round)
	if err != nil {
		return lines, fmt.Errorf("repeat the log of %s: %w", a, err)
	}
	cb, err := r.stateAt(ctx, b, fb, round)
	if err != nil {
		return lines, fmt.Errorf("repeat the log of %s: %w", b, err)
	}
	d, err := replay.CompareDirs(ca, cb, pagesShown)
	if err != nil {
		return lines, err
	}
	if d.Empty() {
		return append(lines, fmt.Sprintf("both logs, repeated on the same options, give the same state after round %d: it is a replica's options or memory that made the difference", round)), errSame
	}
	return append(lines, d.Words(a.String(), b.String())...), nil
}

// compareLogs looks for the first entry that is another one in two logs, and names the message.
func compareLogs(who [2]*member, logs [2]raft.LogStore) ([]string, error) {
	var first, last uint64
	for i, log := range logs {
		f, err := log.FirstIndex()
		l, err2 := log.LastIndex()
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%s: %w", who[i], err)
		}
		first = max(first, f)
		if i == 0 || l < last {
			last = l
		}
	}
	for index := first; index <= last; index++ {
		var a, b raft.Log
		if err := errors.Join(logs[0].GetLog(index, &a), logs[1].GetLog(index, &b)); err != nil {
			return nil, err
		}
		if a.Term == b.Term && a.Type == b.Type && !bytes.Equal(a.Data, b.Data) {
			return append([]string{fmt.Sprintf("entry %d of term %d is not the same in the logs of %s and %s", index, a.Term, who[0], who[1])},
				replay.CompareRounds(a.Data, b.Data)...), nil
		}
	}
	return []string{fmt.Sprintf("the logs of %s and %s are the same from entry %d to %d", who[0], who[1], first, last)}, nil
}

// stateAt repeats a log up to a round and gives a checkpoint of it.
func (r *run) stateAt(ctx context.Context, m *member, f *replay.Folder, round uint64) (string, error) {
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: filepath.Join(m.dir, "modules")})
	if err != nil {
		return "", err
	}
	defer engine.Close()
	var machine *fsm.Machine
	path := ""
	_, err = replay.Replay(ctx, replay.Config{Log: f.Log, Checkpoints: f.Checkpoints, Scratch: r.data, To: fsm.RoundNumber(round),
		Open: func() (replay.Machine, error) {
			var err error
			machine, err = fsm.New(fsm.Config{Engine: engine, Tracker: memstore.TrackerCompare})
			return machine, err
		},
		Visit: func(res *fsm.RoundResult) error {
			if uint64(res.Round) != round {
				return nil
			}
			var err error
			path, err = replay.WriteCheckpoint(machine, filepath.Join(r.data, fmt.Sprintf("state-%d-%d", m.number, r.searched.Add(1))), res.Index)
			return err
		}})
	if err == nil && path == "" {
		err = fmt.Errorf("its log does not reach round %d", round)
	}
	return path, err
}
