package fsm

import (
	"testing"

	"lockstep/pagetrie"
)

func TestRootRing(t *testing.T) {
	ring := newRootRing(4)
	if _, known := ring.get(0); known {
		t.Error("an empty ring knows round 0")
	}
	root := func(n RoundNumber) pagetrie.Hash { return pagetrie.Hash{byte(n), 9} }
	for n := RoundNumber(0); n <= 10; n++ {
		ring.add(Attestation{Round: n, Root: root(n)})
	}
	for n := RoundNumber(0); n <= 12; n++ {
		got, known := ring.get(n)
		if want := n >= 7 && n <= 10; known != want || known && got != root(n) {
			t.Errorf("round %d: known %v, root %s", n, known, got)
		}
	}
	ring.add(Attestation{Round: 20, Root: root(20)}) // a checkpoint was installed
	if _, known := ring.get(10); known {
		t.Error("a round before the gap is still known")
	}
	if got, known := ring.get(20); !known || got != root(20) {
		t.Error("the round after the gap is not known")
	}
}
