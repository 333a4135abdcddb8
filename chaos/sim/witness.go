package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/replay"
	"lockstep/fsm"
)

// statesKept is how many of its newest states each replica keeps, so that those that disagree can be held against each other after
// the same round although one is ahead.
const statesKept = 64

// witness is a state that a replica has, or a checkpoint that it has written, held from the moment of a violation on.
type witness struct {
	who  string
	node int
	// view is a held state, round is its round; path is a copy of a checkpoint instead.
	view  *fsm.StateView
	round fsm.RoundNumber
	path  string
	// index is the log entry that the state is said to be of.
	index uint64
}

// seize holds what there is to be compared after a violation: of each replica the state after the violation's round, or its newest;
// and the checkpoint that the violation is about.
func (c *cluster) seize(v *check.Violation) {
	for _, m := range c.members {
		m.mu.Lock()
		l := m.life
		m.mu.Unlock()
		if l == nil {
			continue
		}
		if w := l.witness(v.Round); w != nil {
			if e := evidenceOf(v, m.number); e != nil && e.Kind != history.Published {
				w.index = max(w.index, e.Index) // a state that says to be of an entry behind its last one
			}
			c.seized = append(c.seized, w)
		}
		if e := evidenceOf(v, m.number); e != nil && e.Kind == history.Published {
			if w, err := l.checkpointWitness(e); err == nil && w != nil { // one that is gone already is no witness
				c.seized = append(c.seized, w)
			}
		}
	}
}

// evidenceOf is the newest piece of a violation's evidence that is about a checkpoint of a replica; nil for none.
func evidenceOf(v *check.Violation, node int) *history.Event {
	for i := len(v.Evidence) - 1; i >= 0; i-- {
		switch e := &v.Evidence[i]; e.Kind {
		case history.Published, history.Started, history.Installed:
			if int(e.Node) == node {
				return e
			}
		}
	}
	return nil
}

// witness holds the state after a round, or the newest if that one is not there; nil if the machine is gone.
func (l *life) witness(round uint64) *witness {
	l.mu.Lock()
	machine := l.machine
	l.mu.Unlock()
	if machine == nil {
		return nil
	}
	now, cancel := context.WithCancel(context.Background())
	cancel() // a round to come is not waited for
	view, err := machine.View(now, fsm.RoundNumber(round))
	if err != nil || round == 0 {
		if view, err = machine.View(now, fsm.NewestRound); err != nil {
			return nil
		}
	}
	head := view.Head()
	if head.Round == 0 {
		return nil // nothing was applied yet
	}
	return &witness{who: fmt.Sprintf("node %d", l.m.number), node: l.m.number, view: view, round: head.Round, index: head.Index}
}

// checkpointWitness copies a checkpoint that the replica has just published.
func (l *life) checkpointWitness(e *history.Event) (*witness, error) {
	paths, err := replay.ListCheckpoints(l.files.tree())
	if err != nil {
		return nil, err
	}
	for _, from := range paths {
		if !strings.HasPrefix(filepath.Base(from), fmt.Sprintf("checkpoint-%d-", e.Index)) {
			continue
		}
		to := filepath.Join(l.m.c.home, fmt.Sprintf("seized-%d", l.m.number), filepath.Base(from))
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return nil, err
		}
		return &witness{who: fmt.Sprintf("node %d's checkpoint", l.m.number), node: l.m.number, path: to,
			round: fsm.RoundNumber(e.Round), index: e.Index}, nil
	}
	return nil, nil
}

// keptCheckpoints are those that lie on all replicas' disks, by log index.
func (c *cluster) keptCheckpoints() (map[uint64][]*witness, error) {
	kept := map[uint64][]*witness{}
	for _, m := range c.members {
		m.mu.Lock()
		files := m.device.files
		m.mu.Unlock()
		if files == nil {
			continue
		}
		paths, err := replay.ListCheckpoints(files.tree())
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			w := &witness{who: fmt.Sprintf("node %d's checkpoint", m.number), node: m.number, path: path}
			if _, err := fmt.Sscanf(filepath.Base(path), "checkpoint-%d-", &w.index); err != nil {
				return nil, fmt.Errorf("checkpoint %s: %w", path, err)
			}
			kept[w.index] = append(kept[w.index], w)
		}
	}
	return kept, nil
}

// write gives a folder with the witness's state.
func (w *witness) write(home string) (string, error) {
	if w.path != "" {
		return w.path, nil
	}
	path, err := replay.WriteView(w.view, filepath.Join(home, fmt.Sprintf("state-%d", w.node)), w.index)
	if err != nil {
		return "", fmt.Errorf("write the state of %s: %w", w.who, err)
	}
	w.path = path
	return path, nil
}
