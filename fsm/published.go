package fsm

import (
	"errors"
	"slices"
	"sync/atomic"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// published is the state after a round as queries and checkpoints see it. Its pages stay while it has users; the machine
// itself is one until it publishes the next.
type published struct {
	state State
	root  pagetrie.Hash
	index uint64
	pin   *memstore.Pin
	users int
	world *sharedWorld
}

// sharedWorld is the world that a sequence of published states lives in; it is closed with the last of them.
type sharedWorld struct {
	world
	// alive are the published states that have users, oldest first.
	alive []*published
	// newest is what wrote has remembered.
	newest atomic.Pointer[map[string]namedMemory]
	// retired are canisters that a round has replaced or deleted, in the order of the rounds.
	retired []retired
}

// retired is a live canister that states from a round on have no use for.
type retired struct {
	live  *canister.Canister
	since RoundNumber
	// versions are the memories that end with it.
	versions []memstore.Version
}

// own makes the world close a live canister in the end.
func (m *Machine) own(live *canister.Canister) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.world.live[live] = struct{}{}
}

// retire gives a live canister up: it is closed, and its memories are dropped, when no published state before a round has users.
func (m *Machine) retire(live *canister.Canister, since RoundNumber, versions []memstore.Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.current.world
	w.retired = append(w.retired, retired{live, since, versions})
}

// sweep closes the retired canisters that no published state needs any more.
func (w *sharedWorld) sweep() error {
	var errs []error
	for len(w.retired) > 0 && w.retired[0].since <= w.alive[0].state.Round {
		r := w.retired[0]
		w.retired = w.retired[1:]
		errs = append(errs, r.live.Close())
		delete(w.live, r.live)
		for _, v := range r.versions {
			errs = append(errs, w.drop(v))
		}
	}
	return errors.Join(errs...)
}

// drop gives a memory's pages up. All of it is looked at.
func (w *sharedWorld) drop(v memstore.Version) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	w.pages.Drop(v)
	return nil
}

// publish makes p what other goroutines see, as of a log index.
func (m *Machine) publish(p *published, index uint64) {
	p.pin, p.index = p.world.pages.Pin(), index
	m.mu.Lock()
	defer m.mu.Unlock()
	p.users = 1
	p.world.alive = append(p.world.alive, p)
	old := m.current
	m.current, m.index = p, index
	m.roots.add(Attestation{Round: p.state.Round, Root: p.root})
	m.wakeLocked()
	err := m.window.add(m, p)
	if old != nil {
		err = errors.Join(err, m.releaseLocked(old))
	}
	if err != nil && m.stopped == nil {
		m.endLocked(err)
	}
}

// acquire gives the newest published state; the caller must release it. It fails when the machine has stopped.
func (m *Machine) acquire() (*published, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped != nil {
		return nil, m.stopped
	}
	m.current.users++
	return m.current, nil
}

func (m *Machine) release(p *published) error {
	m.mu.Lock()
	last, err := m.leaveLocked(p)
	m.mu.Unlock()
	if last {
		p.pin.Release() // it may free the pages of many rounds: a round that is published must not wait for them
	}
	return err
}

// releaseLocked is release for whoever holds m.mu: at the end of a round, for states that nobody else has used for long.
func (m *Machine) releaseLocked(p *published) error {
	last, err := m.leaveLocked(p)
	if last {
		p.pin.Release()
	}
	return err
}

// leaveLocked ends one use of a published state, and says whether it was the last: its pin is to be released then.
func (m *Machine) leaveLocked(p *published) (last bool, err error) {
	p.users--
	if p.users > 0 {
		return false, nil
	}
	w := p.world
	w.alive = slices.DeleteFunc(w.alive, func(other *published) bool { return other == p })
	if len(w.alive) > 0 {
		return true, w.sweep()
	}
	return true, w.close()
}
