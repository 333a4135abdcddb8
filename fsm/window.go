package fsm

import "errors"

// windowPages bounds the replaced pages that stay because earlier states are kept, 16 MiB of them.
const windowPages = 4096

// window keeps the states of the newest rounds readable, so that two replicas that are a few rounds apart can be held against each
// other (StateView). It gives them up, oldest first, when there are too many of them or their pages too many.
type window struct {
	kept []*published // oldest first; each is used by the window
}

// add takes a newly published state in. m.mu is held.
func (w *window) add(m *Machine, p *published) error {
	var err error
	if len(w.kept) > 0 && w.kept[0].world != p.world {
		err = w.shrink(m, 0)
	}
	p.users++
	w.kept = append(w.kept, p)
	err = errors.Join(err, w.shrink(m, max(m.cfg.StatesKept, 0)+1))
	for len(w.kept) > 1 && p.world.pages.Stats().Waiting > windowPages {
		err = errors.Join(err, w.shrink(m, len(w.kept)-1))
	}
	return err
}

// shrink leaves the newest n states. m.mu is held.
func (w *window) shrink(m *Machine, n int) error {
	var errs []error
	for len(w.kept) > n {
		oldest := w.kept[0]
		w.kept[0] = nil
		w.kept = w.kept[1:]
		errs = append(errs, m.releaseLocked(oldest))
	}
	return errors.Join(errs...)
}

// find gives the state after a round, nil if it is not kept. m.mu is held.
func (w *window) find(round RoundNumber) *published {
	for _, p := range w.kept {
		if p.state.Round == round {
			return p
		}
	}
	return nil
}
