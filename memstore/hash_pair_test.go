package memstore

import (
	"math/rand/v2"
	"testing"
)

func TestHashPagePair(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{7})
	a, b := make([]byte, PageSize), make([]byte, PageSize)
	for range 20 {
		_, _ = rng.Read(a)
		_, _ = rng.Read(b)
		if x, y := HashPagePair(a, b); x != HashPage(a) || y != HashPage(b) || x == y {
			t.Fatalf("pair %v %v, alone %v %v", x, y, HashPage(a), HashPage(b))
		}
	}
}
