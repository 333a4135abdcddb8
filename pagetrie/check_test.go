package pagetrie

import (
	"strings"
	"testing"
)

// sample is a map with every kind of node: leaves at slots 0 to 2 of a branch of shift 5, buckets at 6 and 9.
func sample() (m Map, top *inner, l *leaf, b *bucket) {
	entries := []Entry{}
	for k := range uint64(96) {
		entries = append(entries, Entry{k, Value(k + 1)})
	}
	m = FromSorted(append(entries, Entry{200, 5}, Entry{201, 6}, Entry{300, 7}))
	top = m.root.(*inner)
	return m, top, top.kids.at(0).(*leaf), top.kids.at(3).(*bucket)
}

// TestCheckFinds breaks every invariant once.
func TestCheckFinds(t *testing.T) {
	for _, c := range []struct {
		want string
		harm func(top *inner, l *leaf, b *bucket)
	}{
		{"empty bucket", func(_ *inner, _ *leaf, b *bucket) { b.n = 0 }},
		{"key 0xc8 after 0xc9", func(_ *inner, _ *leaf, b *bucket) { b.room[0], b.room[1] = b.room[1], b.room[0] }},
		{"entry {1 2} behind the last", func(_ *inner, _ *leaf, b *bucket) { b.room[b.n] = Entry{1, 2} }},
		{"16 entries, not light", func(_ *inner, _ *leaf, b *bucket) {
			for i := range crowd {
				b.room[i] = Entry{192 + uint64(i), 1}
			}
			b.n = crowd
		}},
		{"15 entries belong in a bucket", func(_ *inner, l *leaf, _ *bucket) { l.present = 1<<(crowd-1) - 1 }},
		{"not the start of a block", func(_ *inner, l *leaf, _ *bucket) { l.base++ }},
		{"value 4 in slot 3, which is absent", func(_ *inner, l *leaf, _ *bucket) { l.present &^= bit(3) }},
		{"but no digests", func(_ *inner, l *leaf, _ *bucket) { l.stale = 0 }},
		{"but no digests", func(top *inner, _ *leaf, _ *bucket) { top.stale = 0 }},
		{"shift 7", func(top *inner, _ *leaf, _ *bucket) { top.shift = 7 }},
		{"bits below the prefix", func(top *inner, _ *leaf, _ *bucket) { top.base |= 64 }},
		{"5 kids, starts", func(top *inner, _ *leaf, _ *bucket) { top.starts |= bit(20) }},
		{"nil node", func(top *inner, _ *leaf, _ *bucket) { top.kids.mixed[1] = nil }},
		{"counts 100 entries, has 99", func(top *inner, _ *leaf, _ *bucket) { top.size++ }},
		{"kid with key 0xc8 at slot 7", func(top *inner, _ *leaf, _ *bucket) { top.starts ^= bit(6) | bit(7) }},
		{"2 entries belong in a bucket", func(top *inner, _ *leaf, b *bucket) {
			top.kids.mixed = []node{newBucket([]Entry{{1, 1}}, 0), newBucket([]Entry{{200, 1}}, 0)}
			top.starts, top.size = bit(0)|bit(6), 2
		}},
		{"key 0x100000 in its buckets", func(_ *inner, _ *leaf, b *bucket) { b.room[1].Key = 1 << 20 }},
		{"bucket of slot 6 overlaps", func(_ *inner, _ *leaf, b *bucket) { b.room[1].Key = 301 }},
		{"below it a branch of shift 5", func(top *inner, _ *leaf, _ *bucket) {
			_, same, _, _ := sample()
			top.kids.mixed[0] = same
			top.size += same.size - fanOut
		}},
		{"slots 4 to 7 in 2 kids", func(top *inner, _ *leaf, b *bucket) {
			kids := append([]node{}, top.kids.mixed[:4]...)
			kids = append(kids, newBucket([]Entry{{224, 1}}, 0), top.kids.mixed[4])
			top.kids.mixed, top.starts, top.size = kids, top.starts|bit(7), top.size+1
		}},
	} {
		sound, _, _, _ := sample()
		if err := sound.CheckHashes(testHasher{}); err != nil {
			t.Fatal(err)
		}
		m, top, l, b := sample() // without digests
		c.harm(top, l, b)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check: %v; want %q", err, c.want)
		}
	}
}

// TestCheckHashesFinds changes digests behind the back of the nodes.
func TestCheckHashesFinds(t *testing.T) {
	m, top, _, _ := sample()
	m.Root(testHasher{})
	top.digests.Load().kids[0][1][0] ^= 1
	if err := m.CheckHashes(testHasher{}); err == nil || !strings.Contains(err.Error(), "digest of the kid at slot 1") {
		t.Errorf("a wrong digest of a kid: %v", err)
	}
	m, _, l, _ := sample()
	d := digester{hasher: testHasher{}}
	d.node(l)
	l.digests.Load().node[0] ^= 1
	if err := m.CheckHashes(testHasher{}); err == nil || !strings.Contains(err.Error(), "of the same entries anew") {
		t.Errorf("a wrong digest of a leaf: %v", err)
	}
	m, top, _, _ = sample()
	top.size++
	if err := m.CheckHashes(testHasher{}); err == nil || !strings.Contains(err.Error(), "counts 100 entries") {
		t.Errorf("a wrong count: %v", err)
	}
}
