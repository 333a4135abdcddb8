package memstore

import (
	"lockstep/pagetrie"
	"lockstep/pagetrie/sha256x2"
)

// HashPagePair is HashPage of two pages, in little more than the time of one where the processor allows.
// Preconditions: each is a page.
func HashPagePair(a, b []byte) (x, y pagetrie.Hash) {
	if len(a) != PageSize || len(b) != PageSize {
		panic("memstore: HashPagePair: not a page")
	}
	return sha256x2.SumSuffix2(a, b, []byte(pageHashDomain))
}
