package fsm

import (
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
	users int
}

// publish makes p what other goroutines see, as of a log index.
func (m *Machine) publish(p *published, index uint64) {
	p.pin, p.index = p.world.pages.Pin(), index
	m.mu.Lock()
	defer m.mu.Unlock()
	p.users = 1
	p.world.users++
	old := m.current
	m.current, m.index = p, index
	m.roots.add(Attestation{Round: p.state.Round, Root: p.root})
	m.wakeLocked()
	if old != nil {
		if err := m.releaseLocked(old); err != nil && m.stopped == nil {
			m.stopped = err
		}
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
	defer m.mu.Unlock()
	return m.releaseLocked(p)
}

func (m *Machine) releaseLocked(p *published) error {
	p.users--
	if p.users > 0 {
		return nil
	}
	p.pin.Release()
	p.world.users--
	if p.world.users > 0 {
		return nil
	}
	return p.world.close()
}
