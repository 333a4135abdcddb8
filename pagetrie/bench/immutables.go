package main

import (
	bits "encoding/binary"

	"github.com/benbjohnson/immutable"
	iradix "github.com/hashicorp/go-immutable-radix/v2"

	"lockstep/pagetrie"
)

func pageValue(v uint64) pagetrie.Value { return pagetrie.Value(v) }

type radixTree struct{ t *iradix.Tree[uint64] }

func radixKey(k uint64) []byte { return bits.BigEndian.AppendUint64(nil, k) }

func buildRadix(entries []entry) table { return (&radixTree{iradix.New[uint64]()}).merge(entries) }

func (r *radixTree) get(keys []uint64) (sum uint64) {
	var key [8]byte
	for _, k := range keys {
		bits.BigEndian.PutUint64(key[:], k)
		if v, ok := r.t.Get(key[:]); ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (r *radixTree) ceiling(keys []uint64) (sum uint64, ok bool) {
	for _, k := range keys {
		it := r.t.Root().Iterator()
		it.SeekLowerBound(radixKey(k))
		if key, v, ok := it.Next(); ok {
			sum += mix(bits.BigEndian.Uint64(key), v)
		}
	}
	return sum, true
}

func (r *radixTree) iterate() (sum uint64) {
	it := r.t.Root().Iterator()
	for k, v, ok := it.Next(); ok; k, v, ok = it.Next() {
		sum += mix(bits.BigEndian.Uint64(k), v)
	}
	return sum
}

func (r *radixTree) delta(sorted []entry) any { return sorted }

func (r *radixTree) merge(delta any) table {
	txn := r.t.Txn()
	for _, e := range delta.([]entry) {
		txn.Insert(radixKey(e.Key), uint64(e.Value))
	}
	return &radixTree{txn.Commit()}
}

func (r *radixTree) set(keys []uint64, v uint64) table {
	txn := r.t.Txn()
	for _, k := range keys {
		txn.Insert(radixKey(k), v)
	}
	return &radixTree{txn.Commit()}
}

func (r *radixTree) snapshot() table { return &radixTree{r.t} }

type uint64Order struct{}

func (uint64Order) Compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

type sortedMap struct {
	m *immutable.SortedMap[uint64, uint64]
}

func buildSorted(entries []entry) table {
	b := immutable.NewSortedMapBuilder[uint64, uint64](uint64Order{})
	for _, e := range entries {
		b.Set(e.Key, uint64(e.Value))
	}
	return &sortedMap{b.Map()}
}

func (s *sortedMap) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := s.m.Get(k); ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (s *sortedMap) ceiling(keys []uint64) (sum uint64, ok bool) {
	it := s.m.Iterator()
	for _, k := range keys {
		it.Seek(k)
		if k, v, ok := it.Next(); ok {
			sum += mix(k, v)
		}
	}
	return sum, true
}

func (s *sortedMap) iterate() (sum uint64) {
	it := s.m.Iterator()
	for !it.Done() {
		k, v, _ := it.Next()
		sum += mix(k, v)
	}
	return sum
}

func (s *sortedMap) delta(sorted []entry) any { return sorted }

func (s *sortedMap) merge(delta any) table {
	m := s.m
	for _, e := range delta.([]entry) {
		m = m.Set(e.Key, uint64(e.Value))
	}
	return &sortedMap{m}
}

func (s *sortedMap) set(keys []uint64, v uint64) table {
	m := s.m
	for _, k := range keys {
		m = m.Set(k, v)
	}
	return &sortedMap{m}
}

func (s *sortedMap) snapshot() table { return &sortedMap{s.m} }

type uint64Hash struct{}

func (uint64Hash) Hash(k uint64) uint32   { return uint32(k * 0x9e3779b97f4a7c15 >> 32) }
func (uint64Hash) Equal(a, b uint64) bool { return a == b }

type hashedMap struct {
	m *immutable.Map[uint64, uint64]
}

func buildHashed(entries []entry) table {
	b := immutable.NewMapBuilder[uint64, uint64](uint64Hash{})
	for _, e := range entries {
		b.Set(e.Key, uint64(e.Value))
	}
	return &hashedMap{b.Map()}
}

func (h *hashedMap) get(keys []uint64) (sum uint64) {
	for _, k := range keys {
		if v, ok := h.m.Get(k); ok {
			sum += mix(k, v)
		}
	}
	return sum
}

func (h *hashedMap) ceiling([]uint64) (uint64, bool) { return 0, false }

func (h *hashedMap) iterate() (sum uint64) {
	it := h.m.Iterator()
	for !it.Done() {
		k, v, _ := it.Next()
		sum += mix(k, v)
	}
	return sum
}

func (h *hashedMap) delta(sorted []entry) any { return sorted }

func (h *hashedMap) merge(delta any) table {
	m := h.m
	for _, e := range delta.([]entry) {
		m = m.Set(e.Key, uint64(e.Value))
	}
	return &hashedMap{m}
}

func (h *hashedMap) set(keys []uint64, v uint64) table {
	m := h.m
	for _, k := range keys {
		m = m.Set(k, v)
	}
	return &hashedMap{m}
}

func (h *hashedMap) snapshot() table { return &hashedMap{h.m} }
