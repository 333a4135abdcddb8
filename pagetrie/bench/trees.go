package main

import (
	google "github.com/google/btree"
	tidwall "github.com/tidwall/btree"
)

type googleTree struct{ t *google.BTreeG[entry] }

func buildGoogle(entries []entry) table {
	t := google.NewG(32, func(a, b entry) bool { return a.Key < b.Key })
	for _, e := range entries {
		t.ReplaceOrInsert(e)
	}
	return &googleTree{t}
}

func (g *googleTree) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if e, ok := g.t.Get(entry{Key: k}); ok {
			sum += mix(k, uint64(e.Value))
		}
	}
	return sum
}

func (g *googleTree) ceiling(keys []uint64) (sum uint64, ok bool) {
	for _, k := range keys {
		g.t.AscendGreaterOrEqual(entry{Key: k}, func(e entry) bool {
			sum += mix(e.Key, uint64(e.Value))
			return false
		})
	}
	return sum, true
}

func (g *googleTree) iterate() (sum uint64) {
	g.t.Ascend(func(e entry) bool {
		sum += mix(e.Key, uint64(e.Value))
		return true
	})
	return sum
}

func (g *googleTree) delta(sorted []entry) any { return sorted }

func (g *googleTree) merge(delta any) table {
	c := g.t.Clone()
	for _, e := range delta.([]entry) {
		c.ReplaceOrInsert(e)
	}
	return &googleTree{c}
}

func (g *googleTree) set(keys []uint64, v uint64) table {
	for _, k := range keys {
		g.t.ReplaceOrInsert(entry{Key: k, Value: pageValue(v)})
	}
	return g
}

func (g *googleTree) snapshot() table { return &googleTree{g.t.Clone()} }

type tidwallTree struct{ t *tidwall.Map[uint64, uint64] }

func buildTidwall(entries []entry) table {
	t := tidwall.NewMap[uint64, uint64](32)
	for _, e := range entries {
		t.Set(e.Key, uint64(e.Value))
	}
	return &tidwallTree{t}
}

func loadTidwall(entries []entry) table {
	t := tidwall.NewMap[uint64, uint64](32)
	for _, e := range entries {
		t.Load(e.Key, uint64(e.Value))
	}
	return &tidwallTree{t}
}

func (w *tidwallTree) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := w.t.Get(k); ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (w *tidwallTree) ceiling(keys []uint64) (sum uint64, ok bool) {
	for _, k := range keys {
		w.t.Ascend(k, func(k, v uint64) bool {
			sum += mix(k, v)
			return false
		})
	}
	return sum, true
}

func (w *tidwallTree) iterate() (sum uint64) {
	w.t.Scan(func(k, v uint64) bool {
		sum += mix(k, v)
		return true
	})
	return sum
}

func (w *tidwallTree) delta(sorted []entry) any { return sorted }

func (w *tidwallTree) merge(delta any) table {
	c := w.t.Copy()
	for _, e := range delta.([]entry) {
		c.Set(e.Key, uint64(e.Value))
	}
	return &tidwallTree{c}
}

func (w *tidwallTree) set(keys []uint64, v uint64) table {
	for _, k := range keys {
		w.t.Set(k, v)
	}
	return w
}

func (w *tidwallTree) snapshot() table { return &tidwallTree{w.t.Copy()} }
