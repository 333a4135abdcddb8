package main

import (
	"lockstep/pagetrie"
)

// entry is one key and its value.
type entry = pagetrie.Entry

// table is one version of one map under measurement. The loops are inside the methods, so that no call through the
// interface is part of a figure. Sums are of what was found, the same for every correct map.
type table interface {
	get(keys []uint64) uint64
	ceiling(keys []uint64) (sum uint64, ok bool) // nearest key at or above; ok: the map can
	iterate() (sum uint64)                       // ascending where the map is ordered
	delta(sorted []entry) any                    // what merge takes
	merge(delta any) table                       // a new version; the old one stays
	set(keys []uint64, v uint64) table           // in place, or what comes nearest
	snapshot() table
}

// subject is a kind of map.
type subject struct {
	name       string
	persistent bool
	build      func(entries []entry) table   // one by one, in the order given
	load       func(ascending []entry) table // nil: as build
}

// mix makes a checksum depend on key and value.
func mix(k, v uint64) uint64 { return (k*0x9e3779b97f4a7c15 ^ v*0xff51afd7ed558ccd) * (2*v + 1) }

var subjects = []subject{
	{"pagetrie", true, buildTrie, loadTrie},
	{"binary Okasaki-Gill", true, buildPatricia, nil},
	{"google/btree", true, buildGoogle, nil},
	{"tidwall/btree", true, buildTidwall, loadTidwall},
	{"go-immutable-radix", true, buildRadix, nil},
	{"immutable.SortedMap", true, buildSorted, nil},
	{"immutable.Map", true, buildHashed, nil},
	{"Go map", false, buildGoMap, nil},
}
