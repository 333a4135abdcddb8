package main

import (
	"maps"

	"lockstep/pagetrie"
	"lockstep/pagetrie/internal/patricia"
)

type trie struct{ m pagetrie.Map }

func buildTrie(entries []entry) table {
	var b pagetrie.Builder
	for _, e := range entries {
		b.Insert(e.Key, e.Value)
	}
	return &trie{b.Map()}
}

func loadTrie(entries []entry) table { return &trie{pagetrie.FromSorted(entries)} }

func (t *trie) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := t.m.Get(k); ok {
			sum += mix(k, uint64(v))
		}
	}
	return sum
}

func (t *trie) ceiling(keys []uint64) (sum uint64, ok bool) {
	for _, k := range keys {
		if k, v, ok := t.m.Ceiling(k); ok {
			sum += mix(k, uint64(v))
		}
	}
	return sum, true
}

func (t *trie) iterate() (sum uint64) {
	for k, v := range t.m.All() {
		sum += mix(k, uint64(v))
	}
	return sum
}

func (t *trie) delta(sorted []entry) any { return pagetrie.FromSorted(sorted) }

func (t *trie) merge(delta any) table { return &trie{pagetrie.Union(delta.(pagetrie.Map), t.m)} }

func (t *trie) set(keys []uint64, v uint64) table {
	b := t.m.Edit()
	for _, k := range keys {
		b.Insert(k, pagetrie.Value(v))
	}
	return &trie{b.Map()}
}

func (t *trie) snapshot() table { return &trie{t.m} }

type binary struct{ t *patricia.Tree }

func buildPatricia(entries []entry) table {
	var t *patricia.Tree
	for _, e := range entries {
		t = t.Insert(e.Key, uint64(e.Value))
	}
	return &binary{t}
}

func (b *binary) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := b.t.Get(k); ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (b *binary) ceiling(keys []uint64) (sum uint64, ok bool) {
	for _, k := range keys {
		if k, v, ok := b.t.Ceiling(k); ok {
			sum += mix(k, v)
		}
	}
	return sum, true
}

func (b *binary) iterate() (sum uint64) {
	b.t.All(func(k, v uint64) bool {
		sum += mix(k, v)
		return true
	})
	return sum
}

func (b *binary) delta(sorted []entry) any { return buildPatricia(sorted).(*binary).t }

func (b *binary) merge(delta any) table { return &binary{patricia.Union(delta.(*patricia.Tree), b.t)} }

func (b *binary) set(keys []uint64, v uint64) table {
	t := b.t
	for _, k := range keys {
		t = t.Insert(k, v)
	}
	return &binary{t}
}

func (b *binary) snapshot() table { return &binary{b.t} }

type goMap map[uint64]uint64

func buildGoMap(entries []entry) table {
	m := goMap{}
	for _, e := range entries {
		m[e.Key] = uint64(e.Value)
	}
	return m
}

func (m goMap) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := m[k]; ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (m goMap) ceiling([]uint64) (uint64, bool) { return 0, false }

func (m goMap) iterate() (sum uint64) {
	for k, v := range m {
		sum += mix(k, v)
	}
	return sum
}

func (m goMap) delta(sorted []entry) any { return sorted }

func (m goMap) merge(delta any) table {
	c := maps.Clone(m)
	for _, e := range delta.([]entry) {
		c[e.Key] = uint64(e.Value)
	}
	return c
}

func (m goMap) set(keys []uint64, v uint64) table {
	for _, k := range keys {
		m[k] = v
	}
	return m
}

func (m goMap) snapshot() table { return maps.Clone(m) }
