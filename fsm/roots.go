package fsm

import "lockstep/pagetrie"

// rootRing keeps the roots of the newest rounds. Its rounds follow each other without a gap; installing a checkpoint
// starts it anew.
type rootRing struct {
	kept  []Attestation // kept[round % len] for the rounds in [first, next)
	first RoundNumber
	next  RoundNumber
}

func newRootRing(size int) rootRing { return rootRing{kept: make([]Attestation, size)} }

func (r *rootRing) reset() { r.first, r.next = 0, 0 }

func (r *rootRing) add(a Attestation) {
	if r.next != a.Round || r.first == r.next {
		r.first = a.Round
	}
	r.kept[a.Round%RoundNumber(len(r.kept))] = a
	r.next = a.Round + 1
	if r.next-r.first > RoundNumber(len(r.kept)) {
		r.first = r.next - RoundNumber(len(r.kept))
	}
}

func (r *rootRing) get(round RoundNumber) (pagetrie.Hash, bool) {
	if round < r.first || round >= r.next {
		return pagetrie.Hash{}, false
	}
	return r.kept[round%RoundNumber(len(r.kept))].Root, true
}

// Roots lists the roots that are kept of rounds from the given one on, ascending, at most limit of them.
func (m *Machine) Roots(from RoundNumber, limit int) []Attestation {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Attestation
	for round := max(from, m.roots.first); round < m.roots.next && len(out) < limit; round++ {
		out = append(out, m.roots.kept[round%RoundNumber(len(m.roots.kept))])
	}
	return out
}

// Latest gives the newest applied round and its root.
func (m *Machine) Latest() Attestation {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.roots.first == m.roots.next {
		return Attestation{}
	}
	return m.roots.kept[(m.roots.next-1)%RoundNumber(len(m.roots.kept))]
}
