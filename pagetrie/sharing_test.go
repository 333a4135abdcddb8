package pagetrie

import (
	"slices"
	"testing"
)

// holed is a map of n keys without one in each block, so that no node is full.
func holed(n uint64) Map {
	return keys(n, func(i uint64) uint64 { return i + i/(fanOut-1) })
}

// poison makes all kids of branches the same nil pointer, so that whoever looks inside panics. The branches keep what they
// remember of their digests.
func poison(t *testing.T, branches []*inner, with node) {
	t.Helper()
	if len(branches) < 14 {
		t.Fatalf("only %d branches to poison", len(branches))
	}
	for _, x := range branches {
		x.kids = kids{mixed: slices.Repeat([]node{with}, x.kids.count())}
	}
}

// sharedBranches are those that both maps have.
func sharedBranches(a, b Map) (list []*inner) {
	inA, inB := map[node]bool{}, map[node]bool{}
	nodesOf(a.root, inA)
	nodesOf(b.root, inB)
	for n := range inA {
		if x, ok := n.(*inner); ok && inB[n] {
			list = append(list, x)
		}
	}
	return list
}

// sharedMaps are two versions whose common branches are poisoned. Keys 5000 and 5001 are only in one of them.
func sharedMaps(t *testing.T) (a, b Map) {
	m := holed(1 << 14)
	a, b = m.Remove(5000), m.Remove(5001)
	poison(t, sharedBranches(a, b), (*inner)(nil))
	return a, b
}

func TestDiffSkipsShared(t *testing.T) {
	a, b := sharedMaps(t)
	var got []uint64
	for c := range Diff(a, b) {
		got = append(got, c.Key)
	}
	if !slices.Equal(got, []uint64{5000, 5001}) {
		t.Errorf("changes at %v", got)
	}
}

// TestDiffHashedSkipsEqual poisons, in maps that share nothing, all branches whose digests are equal.
func TestDiffHashedSkipsEqual(t *testing.T) {
	a, b := holed(1<<14).Remove(5000), holed(1<<14)
	a.Root(testHasher{})
	b.Root(testHasher{})
	digests, inB := map[Hash]*inner{}, map[node]bool{}
	nodesOf(b.root, inB)
	for n := range inB {
		if x, ok := n.(*inner); ok {
			digests[x.digests.Load().node] = x
		}
	}
	var equalA, equalB []*inner
	inA := map[node]bool{}
	nodesOf(a.root, inA)
	for n := range inA {
		if x, ok := n.(*inner); ok && digests[x.digests.Load().node] != nil {
			equalA, equalB = append(equalA, x), append(equalB, digests[x.digests.Load().node])
		}
	}
	poison(t, equalA, (*inner)(nil))
	poison(t, equalB, (*bucket)(nil)) // another pointer: the two are not taken for one
	var got []uint64
	for c := range DiffHashed(a, b, testHasher{}) {
		got = append(got, c.Key)
	}
	if !slices.Equal(got, []uint64{5000}) {
		t.Errorf("changes at %v", got)
	}
}

func TestUnionSkipsShared(t *testing.T) {
	a, b := sharedMaps(t)
	u := Union(a, b)
	if u.Len() != 1<<14 {
		t.Errorf("%d entries, want %d", u.Len(), 1<<14)
	}
	for _, k := range []uint64{5000, 5001} {
		if _, ok := u.Get(k); !ok {
			t.Errorf("no key %d", k)
		}
	}
}

func TestDifferenceSkipsShared(t *testing.T) {
	a, b := sharedMaps(t)
	if got := entriesOf(Difference(a, b)); len(got) != 1 || got[0].Key != 5001 {
		t.Errorf("difference %v", got)
	}
}

// TestUnionSharesBuckets: a side that wins everywhere is the outcome, node by node, and where it wins in one bucket it is
// that bucket.
func TestUnionSharesBuckets(t *testing.T) {
	spread := func(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }
	one := keys(20, spread)
	if got := Union(one, keys(9, spread)); got != one {
		t.Error("a bucket that has all keys of another is copied")
	}
	many := keys(3000, spread)
	half := keys(1500, spread).Edit()
	for k := range half.Map().All() {
		half.Insert(k, 1<<40)
	}
	if _, pour := scattered(half.Map().root, many.root); pour {
		t.Fatal("the smaller map is poured, not merged")
	}
	if got := Union(many, half.Map()); got != many {
		t.Error("a branch of buckets that has all keys of another is copied")
	}
}

// TestBuilderCopy: a copy of a Builder would edit the nodes of the other in place.
func TestBuilderCopy(t *testing.T) {
	unused := keys(40, func(i uint64) uint64 { return i }).Edit()
	before := *unused
	before.Insert(7, 70)
	if v, _ := unused.Get(7); v != 8 {
		t.Errorf("an edit of a copy made before any shows: %d", v)
	}
	for name, use := range map[string]func(*Builder){
		"Insert": func(b *Builder) { b.Insert(3, 4) },
		"Remove": func(b *Builder) { b.Remove(3) },
		"Get":    func(b *Builder) { b.Get(3) },
		"Len":    func(b *Builder) { b.Len() },
		"Map":    func(b *Builder) { b.Map() },
	} {
		var b Builder
		b.Insert(3, 3)
		second := b
		if text := panicText(func() { use(&second) }); text == "" {
			t.Errorf("%s of a copied Builder does not panic", name)
		}
		b.Insert(4, 4)
		m := b.Map()
		third := b
		third.Insert(5, 5)
		if m.Len() != 2 || third.Len() != 3 {
			t.Errorf("%d and %d entries, want 2 and 3", m.Len(), third.Len())
		}
	}
}

func panicText(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}
