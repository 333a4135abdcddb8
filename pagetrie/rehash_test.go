package pagetrie

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func nodesOf(n node, all map[node]bool) {
	all[n] = true
	if x, ok := n.(*inner); ok {
		for i := range x.kids.count() {
			nodesOf(x.kids.at(i), all)
		}
	}
}

// levels is the number of nodes on the longest way down.
func levels(n node) int {
	deepest := 0
	if x, ok := n.(*inner); ok {
		for i := range x.kids.count() {
			deepest = max(deepest, levels(x.kids.at(i)))
		}
	}
	return deepest + 1
}

// content is a node as it is hashed, made from the entries and not from what the node remembers: for each of its slots the
// hash of the value or the digest of the kid. A node is named by its kind, first possible key and shift.
type content struct {
	kind  Kind
	base  uint64
	shift uint8
	slots [fanOut]Hash // bucket: only the first, of everything
	used  bitmap
}

// contentsOf lists the nodes of the map of entries anew by that name. It shares no node with any other map.
func contentsOf(entries []Entry) map[string]content {
	all := map[string]content{}
	var d digester
	d.hasher = testHasher{}
	fresh := map[node]bool{}
	if m := FromSorted(entries); m.root != nil {
		nodesOf(m.root, fresh)
	}
	for n := range fresh {
		v := d.view(n)
		c := content{kind: v.Kind, base: v.Base, shift: v.Shift, used: bitmap(v.Used)}
		if v.Kind == Bucket {
			c.base, c.slots[0] = v.Keys[0], d.foreign(&v)
		}
		for i, rest := 0, c.used; rest != 0; rest &= rest - 1 {
			c.slots[rest.lowest()] = v.Hashes[i]
			i++
		}
		all[fmt.Sprint(c.kind, c.base, c.shift)] = c
	}
	return all
}

// rehashing is what the root of a map needs of SHA-256 messages and of hashes of values, when that of another map that it was
// made from is known: a message for each node that is not as it was, and one for each of its groups of 8 slots that is not.
type rehashing struct{ messages, values, nodes int }

func rehashingOf(old, new map[string]content) (r rehashing) {
	for name, is := range new {
		was := old[name] // all zero if there was no such node
		if was == is {
			continue
		}
		r.nodes++
		r.messages++
		for g := range groupCount {
			lo, hi := g<<groupBits, (g+1)<<groupBits
			mask := is.used.group(g)
			if mask == 0 || mask == was.used.group(g) && slices.Equal(is.slots[lo:hi], was.slots[lo:hi]) {
				continue
			}
			r.messages++
			if is.kind == Leaf {
				r.values += mask.count()
			}
		}
	}
	r.messages++ // the root
	return r
}

// checkRehashing asks for the root of m, made of a map of which old is the content and the root is known.
func checkRehashing(t *testing.T, what string, old map[string]content, m Map) rehashing {
	t.Helper()
	entries := entriesOf(m)
	want := rehashingOf(old, contentsOf(entries))
	buckets := 0
	for _, c := range contentsOf(entries) {
		if c.kind == Bucket && old[fmt.Sprint(c.kind, c.base, c.shift)] != c {
			i, _ := slices.BinarySearchFunc(entries, c.base, func(e Entry, k uint64) int {
				if e.Key < k {
					return -1
				}
				return 1
			})
			b, _ := bucketAt(m.root, entries[i].Key)
			buckets += b.entries()
		}
	}
	want.values += buckets
	d := digester{hasher: testHasher{}}
	root := d.root(m.root)
	if d.calls != want.messages || d.values != want.values {
		t.Errorf("%s: %d messages and %d hashes of values, want %d and %d for %d new nodes", what, d.calls, d.values, want.messages, want.values, want.nodes)
	}
	if anew := FromSorted(entries).Root(testHasher{}); root != anew {
		t.Errorf("%s: root %v, made anew %v", what, root, anew)
	}
	again := digester{hasher: testHasher{}}
	if again.root(m.root); again.calls != 1 || again.values != 0 {
		t.Errorf("%s: root again: %d messages, %d hashes of values", what, again.calls, again.values)
	}
	return want
}

// bucketAt is the bucket that key is in.
func bucketAt(n node, key uint64) (*bucket, bool) {
	for {
		x, ok := n.(*inner)
		if !ok {
			b, ok := n.(*bucket)
			return b, ok
		}
		n = x.kids.at(x.rank(x.slot(key)) - 1)
	}
}

// TestRehashing counts what a root costs after every kind of change, on dense, half-empty and scattered keys: exactly the nodes
// and the groups that are not as they were, whatever the nodes remember.
func TestRehashing(t *testing.T) {
	for _, p := range keyPatterns {
		for _, n := range []int{40, 300, 6000} {
			for _, k := range []int{1, 10, 200} {
				t.Run(fmt.Sprintf("%s/n=%d/k=%d", p.name, n, k), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
					model := p.model(r, n, 1000)
					for i := range uint64(n) { // a dense part for each pattern
						model[1<<30+i] = Value(i)
					}
					m := FromSorted(sorted(model))
					m.Root(testHasher{})
					checkChanges(t, r, p, m, k)
				})
			}
		}
	}
}

func checkChanges(t *testing.T, r *rand.Rand, p keyPattern, m Map, k int) {
	t.Helper()
	entries := entriesOf(m)
	old := contentsOf(entries)
	var there, fresh, mixed, gone Builder
	for i := range k {
		e := entries[r.IntN(len(entries))]
		there.Insert(e.Key, 5000+Value(i))
		gone.Insert(entries[r.IntN(len(entries))].Key, 1)
		if _, has := m.Get(p.draw(r)); !has {
			fresh.Insert(p.draw(r), 7000)
		}
		mixed.Insert(p.draw(r), 9000+Value(i%3))
		mixed.Insert(e.Key, 9000)
	}
	for name, b := range map[string]*Builder{"existing": &there, "new": &fresh, "mixed": &mixed} {
		delta := b.Map()
		unhashed := func() Map { return FromSorted(entriesOf(delta)) }
		checkRehashing(t, "union, "+name+" keys", old, Union(unhashed(), m))
		checkRehashing(t, "union that loses, "+name+" keys", old, Union(m, unhashed()))
		edit, one := m.Edit(), m
		for key, v := range delta.All() {
			edit.Insert(key, v)
			one = one.Insert(key, v)
		}
		checkRehashing(t, "edit, "+name+" keys", old, edit.Map())
		checkRehashing(t, "insertion one by one, "+name+" keys", old, one)
	}
	less := gone.Map()
	edit, one := m.Edit(), m
	for key := range less.All() {
		edit.Remove(key)
		one = one.Remove(key)
	}
	checkRehashing(t, "difference", old, Difference(m, less))
	checkRehashing(t, "difference with a map that has more", old, Difference(m, Union(less, fresh.Map())))
	checkRehashing(t, "removal", old, edit.Map())
	checkRehashing(t, "removal one by one", old, one)
}

// TestRootCost: k changed pages of a dense memory cost at most two messages a node of the way to each, the group of the slot
// and the node, and one for the root: with a way of 4 nodes 8k + 1, and the less the more of the ways they share.
func TestRootCost(t *testing.T) {
	const n = 1 << 20
	m := FromSorted(entriesOf(keys(n, func(i uint64) uint64 { return i })))
	m.Root(testHasher{})
	depth := levels(m.root)
	for _, c := range []struct{ k, nodes, messages int }{{1, 4, 9}, {10, 29, 63}, {1000, 1648, 3658}} {
		r := rand.New(rand.NewPCG(uint64(c.k), 3))
		var delta Builder
		for delta.Len() < c.k {
			delta.Insert(r.Uint64N(n), 1<<40)
		}
		changed := Union(delta.Map(), m)
		before, after := map[node]bool{}, map[node]bool{}
		nodesOf(m.root, before)
		nodesOf(changed.root, after)
		nodes := 0
		for x := range after {
			if !before[x] {
				nodes++
			}
		}
		d := digester{hasher: testHasher{}}
		d.root(changed.root)
		if most := 2*depth*c.k + 1; d.calls > most || nodes != c.nodes || d.calls != c.messages {
			t.Errorf("%d pages: %d messages for %d nodes, want %d for %d; never more than %d", c.k, d.calls, nodes, c.messages, c.nodes, most)
		}
	}
}
