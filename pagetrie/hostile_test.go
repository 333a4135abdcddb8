package pagetrie

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// forged is a node of a map that nobody has: its digests are right, its shape need not be.
type forged struct {
	View
	kids []*forged // branch: in the order of slots
}

func forgedBucket(keys ...uint64) *forged {
	f := &forged{View: View{Kind: Bucket, Keys: keys}}
	for _, k := range keys {
		f.Hashes = append(f.Hashes, Hash{byte(k), 1})
	}
	return f
}

func forgedLeaf(base uint64, used uint32) *forged {
	f := &forged{View: View{Kind: Leaf, Base: base, Used: used}}
	for i := range bitmap(used).count() {
		f.Hashes = append(f.Hashes, Hash{byte(i), 2})
	}
	return f
}

func forgedBranch(base uint64, shift uint8, kids map[uint]*forged) *forged {
	f := &forged{View: View{Kind: Branch, Base: base, Shift: shift}}
	var d digester
	for _, s := range slices.Sorted(maps.Keys(kids)) {
		f.Used |= uint32(bit(s))
		f.kids = append(f.kids, kids[s])
		f.Hashes = append(f.Hashes, d.foreign(&kids[s].View))
	}
	return f
}

func (f *forged) entries() uint64 {
	n := uint64(0)
	for _, kid := range f.kids {
		n += kid.entries()
	}
	if f.Kind != Branch {
		n = uint64(len(f.Hashes))
	}
	return n
}

// forger shows a forged map and counts what it is asked for.
type forger struct {
	top     *forged
	entries uint64
	asked   int
}

func (f *forger) Head() (uint64, Hash) {
	if len(f.top.Keys) > bucketMax {
		return f.entries, Hash{} // never compared
	}
	var d digester
	return f.entries, d.seal(f.entries, d.foreign(&f.top.View))
}

func (f *forger) Nodes(refs []Ref) ([]View, error) {
	var views []View
	for _, ref := range refs {
		n := f.top
		for range ref.Depth {
			n = n.kids[(bitmap(n.Used)&upTo(uint(ref.Key>>n.Shift)&slotMask)).count()-1]
		}
		views = append(views, n.View)
	}
	f.asked += len(refs)
	return views, nil
}

// forgeries are maps whose digests are right and whose shape is wrong, but for the first.
func forgeries() []struct {
	name, want string
	top        *forged
	entries    uint64
} {
	type forgery = struct {
		name, want string
		top        *forged
		entries    uint64
	}
	full := func(base uint64) *forged { return forgedLeaf(base, 1<<32-1) }
	spread := func(from, n, step uint64) (keys []uint64) {
		for i := range n {
			keys = append(keys, from+i*step)
		}
		return keys
	}
	list := []forgery{
		{"as it should be", "", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(32), 4: forgedBucket(130, 170), 31: full(992)}), 0},
		{"leaf in another slot", "does not belong at slot 1", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(64)}), 0},
		{"leaf twice", "", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(0)}), 0},
		{"branch in another slot", "does not belong at slot 1", forgedBranch(0, 10, map[uint]*forged{0: full(0), 1: forgedBranch(2048, 5, map[uint]*forged{0: full(2048), 1: full(2080)})}), 0},
		{"branch of the same shift", "does not belong at slot 0", forgedBranch(0, 5, map[uint]*forged{1: full(32), 0: forgedBranch(0, 5, map[uint]*forged{0: full(0), 2: full(64)})}), 0},
		{"bucket in another slot", "does not belong at slot 1", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: forgedBucket(64, 70)}), 0},
		{"bucket over the next kid", "does not belong at slot 1", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: forgedBucket(33, 40, 70), 2: full(64)}), 0},
		{"bucket in a run with another kid", "does not belong at slot 1", forgedBranch(0, 5, map[uint]*forged{1: forgedBucket(33, 70), 3: full(96)}), 0},
		{"bucket beyond the branch", "does not belong at slot 31", forgedBranch(0, 5, map[uint]*forged{0: full(0), 31: forgedBucket(993, 1<<20)}), 0},
		{"bucket beyond the branch, in the slot", "does not belong at slot 31", forgedBranch(0, 5, map[uint]*forged{0: full(0), 31: forgedBucket(993, 2017)}), 0},
		{"two buckets for one", "in 2 buckets, want one", forgedBranch(0, 5, map[uint]*forged{0: full(0), 8: forgedBucket(256, 260), 9: forgedBucket(290)}), 0},
		{"branch for a bucket", "in 2 buckets, want one", forgedBranch(0, 5, map[uint]*forged{0: forgedBucket(spread(1, 10, 1)...), 9: forgedBucket(spread(290, 10, 1)...)}), 0},
		{"bucket out of order", "malformed", forgedBucket(5, 4), 0},
		{"bucket with a key twice", "malformed", forgedBucket(5, 5), 0},
		{"bucket too large", "malformed", forgedBucket(spread(0, 30, 100)...), 0},
		{"bucket for a leaf", "malformed", forgedBucket(spread(0, 16, 1)...), 0},
		{"leaf for a bucket", "malformed", forgedLeaf(0, 1<<15-1), 0},
		{"leaf between blocks", "malformed", forgedLeaf(16, 1<<32-1), 0},
		{"branch of one", "malformed", forgedBranch(0, 5, map[uint]*forged{0: full(0)}), 0},
		{"branch between digits", "malformed", forgedBranch(0, 6, map[uint]*forged{0: full(0), 1: full(64)}), 0},
		{"branch on a leaf's digit", "malformed", forgedBranch(0, 0, map[uint]*forged{0: full(0), 1: full(64)}), 0},
		{"branch with bits below its prefix", "malformed", forgedBranch(32, 5, map[uint]*forged{0: full(0), 1: full(32)}), 0},
		{"slots beyond the key", "malformed", forgedBranch(0, 60, map[uint]*forged{0: full(0), 16: full(32)}), 0},
		{"bucket of more entries", "is of 3 entries", forgedBucket(1, 2), 3},
		{"leaf of fewer entries", "is of 31 entries", full(0), 31},
		{"branch of few entries", "is of 15 entries", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(32)}), 15},
		{"branch of too many", "is of 1025 entries", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(32)}), 1025},
		{"more entries than said", "remote map of 63 entries shows 64", forgedBranch(0, 5, map[uint]*forged{0: full(0), 1: full(32)}), 63},
	}
	many := map[uint]*forged{}
	for s := range uint(32) {
		many[s] = full(uint64(s) * 32)
	}
	list = append(list, forgery{"more nodes than entries", "shows 0, in 33 nodes", forgedBranch(0, 5, many), 16})
	for i := range list {
		if list[i].entries == 0 {
			list[i].entries = list[i].top.entries()
		}
	}
	return list
}

// TestForgedMaps: whoever walks a map elsewhere takes no shape but the one of its contents, with nothing and with something to
// compare it with. A leaf twice is found by its place or by its digest.
func TestForgedMaps(t *testing.T) {
	locals := []Map{{}, keys(3, func(i uint64) uint64 { return i }), keys(2000, func(i uint64) uint64 { return i }), holed(5000)}
	for _, f := range forgeries() {
		for i, local := range locals {
			remote := func() Remote { return &forger{top: f.top, entries: f.entries} }
			_, err := RemoteDiff(local, testHasher{}, remote())
			_, err2 := DiffRemotes(&wire{m: local}, remote())
			_, err3 := DiffRemotes(remote(), &wire{m: local})
			for _, err := range []error{err, err2, err3} {
				if fine := f.name == "as it should be"; fine != (err == nil) || !fine && !strings.Contains(err.Error(), f.want) {
					t.Errorf("%s, against map %d: error %v, want %q", f.name, i, err, f.want)
				}
			}
		}
	}
}

// TestForgedPlaces: a node of ours, at a place where it can't be, is not taken for ours.
func TestForgedPlaces(t *testing.T) {
	local := keys(3, func(i uint64) uint64 { return 32 + i })
	var d digester
	d.hasher = testHasher{}
	ours := &forged{View: d.view(local.root)}
	top := forgedBranch(0, 5, map[uint]*forged{0: ours, 4: forgedLeaf(128, 1<<32-1)})
	remote := func() Remote { return &forger{top: top, entries: top.entries()} }
	if _, err := RemoteDiff(local, testHasher{}, remote()); err == nil || !strings.Contains(err.Error(), "does not belong at slot 0") {
		t.Errorf("ours at another slot: %v", err)
	}
	far := forgedBranch(1<<20, 5, map[uint]*forged{0: forgedLeaf(1<<20, 1<<32-1), 1: forgedLeaf(1<<20+32, 1<<32-1)})
	near := forgedBranch(0, 5, map[uint]*forged{0: far.kids[0], 1: forgedLeaf(32, 1<<32-1)})
	_, err := DiffRemotes(&forger{top: far, entries: 64}, &forger{top: near, entries: 64})
	if err == nil || !strings.Contains(err.Error(), "at different places") {
		t.Errorf("a node at two places: %v", err)
	}
	twice := forgedBranch(0, 5, map[uint]*forged{0: near.kids[1], 1: near.kids[1]})
	_, err = DiffRemotes(&forger{top: twice, entries: 64}, &forger{top: near.kids[1], entries: 32})
	if err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the other's node at two places: %v", err)
	}
}

// TestForgedChain: branches whose kids are one and the same would double what is asked for on each level.
func TestForgedChain(t *testing.T) {
	n := forgedLeaf(0, 1<<32-1)
	for shift := uint8(5); shift <= 60; shift += 5 {
		n = forgedBranch(0, shift, map[uint]*forged{0: n, 1: n})
	}
	for i := range 2 {
		remote := &forger{top: n, entries: 1 << 50}
		var err error
		if i == 0 {
			_, err = RemoteDiff(Map{}, testHasher{}, remote)
		} else {
			_, err = DiffRemotes(&wire{}, remote)
		}
		if err == nil || remote.asked > 3 {
			t.Errorf("%d nodes read, error %v", remote.asked, err)
		}
	}
}

// TestNodesBounds: there is a most that is kept in mind and a most that is given.
func TestNodesBounds(t *testing.T) {
	top := forgedBranch(0, 60, map[uint]*forged{0: forgedLeaf(0, 1<<32-1), 1: forgedLeaf(1<<60, 1<<32-1)})
	for _, c := range []struct {
		named uint64
		want  string
	}{{maxNamed - 2, "<nil>"}, {maxNamed - 1, "remote map: more than 4194304 nodes differ"}} {
		f := newForeignMap(&forger{top: top, entries: 1 << 40})
		f.named = c.named
		if _, err := f.take(place{}, &top.View, Hash{}); fmt.Sprint(err) != c.want {
			t.Errorf("%d nodes named and two more: %v, want %q", c.named, err, c.want)
		}
	}
	m := holed(5000)
	if _, err := m.Nodes(testHasher{}, make([]Ref, MaxRefs)); err != nil {
		t.Error(err)
	}
	if _, err := m.Nodes(testHasher{}, make([]Ref, MaxRefs+1)); err == nil || !strings.Contains(err.Error(), "1025 nodes asked for") {
		t.Errorf("%d refs: %v", MaxRefs+1, err)
	}
	above := keys(100, func(i uint64) uint64 { return 64 + i }) // nothing starts at slot 0
	if _, err := above.Nodes(testHasher{}, []Ref{{Key: 0, Depth: 1}}); err == nil || !strings.Contains(err.Error(), "no node at depth 1") {
		t.Errorf("a ref below all kids: %v", err)
	}
}

// TestWrongAnswers: answers that are too short, too long or of the wrong count, and an empty map with the root of another.
func TestWrongAnswers(t *testing.T) {
	bucket := keys(20, func(i uint64) uint64 { return i * 1000 })
	full := keys(32, func(i uint64) uint64 { return i })
	branch := holed(5000)
	for _, c := range []struct {
		name, want string
		m          Map
		lie        func([]View) []View
	}{
		{"an answer missing", "0 answers to 1", bucket, func(v []View) []View { return nil }},
		{"an answer too many", "2 answers to 1", bucket, func(v []View) []View { return append(v, v[0]) }},
		{"another kind", "malformed", bucket, func(v []View) []View { v[0].Kind = 9; return v }},
		{"a bucket with a base", "malformed", bucket, func(v []View) []View { v[0].Base = 1; return v }},
		{"a bucket with a shift", "malformed", bucket, func(v []View) []View { v[0].Shift = 5; return v }},
		{"a bucket with slots", "malformed", bucket, func(v []View) []View { v[0].Used = 1; v[0].Hashes = append(v[0].Hashes, Hash{}); return v }},
		{"a leaf with a shift", "malformed", full, func(v []View) []View { v[0].Shift = 5; return v }},
		{"a leaf with a key", "malformed", full, func(v []View) []View { v[0].Keys = []uint64{1}; v[0].Hashes = append(v[0].Hashes, Hash{}); return v }},
		{"a branch with a key", "malformed", branch, func(v []View) []View { v[0].Keys = []uint64{1}; v[0].Hashes = append(v[0].Hashes, Hash{}); return v }},
	} {
		checkLie(t, c.name, c.want, c.m, c.lie)
	}
	for kind, m := range map[string]Map{"bucket": bucket, "leaf": full, "branch": branch} {
		checkLie(t, "a hash too many of a "+kind, "malformed", m, func(v []View) []View { v[0].Hashes = append(v[0].Hashes, Hash{}); return v })
		checkLie(t, "a hash missing of a "+kind, "malformed", m, func(v []View) []View { v[0].Hashes = v[0].Hashes[1:]; return v })
		checkLie(t, "no hash of a "+kind, "malformed", m, func(v []View) []View { v[0].Hashes = nil; return v })
	}
	empty := &headed{root: Hash{1}}
	for _, err := range []error{
		second(RemoteDiff(bucket, testHasher{}, empty)),
		second(DiffRemotes(&wire{m: bucket}, empty)),
		second(DiffRemotes(empty, &wire{m: bucket})),
	} {
		if err == nil || !strings.Contains(err.Error(), "not that of an empty map") {
			t.Errorf("an empty map with another root: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func checkLie(t *testing.T, name, want string, m Map, lie func([]View) []View) {
	t.Helper()
	remote := &liar{wire{m: m}, lie}
	for _, err := range []error{
		second(RemoteDiff(Map{}, testHasher{}, remote)),
		second(DiffRemotes(&wire{}, remote)),
		second(DiffRemotes(remote, &wire{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// liar changes every answer.
type liar struct {
	wire
	change func([]View) []View
}

func (l *liar) Nodes(refs []Ref) ([]View, error) {
	views, err := l.wire.Nodes(refs)
	return l.change(views), err
}

// headed is a map that has a root and nothing else.
type headed struct{ root Hash }

func (h *headed) Head() (uint64, Hash)        { return 0, h.root }
func (h *headed) Nodes([]Ref) ([]View, error) { return nil, errors.New("there are no nodes") }

// TestProofHasOneForm: what a proof does not need may not be in it.
func TestProofHasOneForm(t *testing.T) {
	m := holed(5000)
	for k := range uint64(29) {
		m = m.Insert(1<<40+k*100, 5)
	}
	root := m.Root(testHasher{})
	provable := map[string]bool{"as it should be": true, "leaf in another slot": false, "branch of too many": false}
	junk := map[string]func(*Step){
		"base":   func(s *Step) { s.Base = 32 },
		"shift":  func(s *Step) { s.Shift = 5 },
		"used":   func(s *Step) { s.Used = 1 },
		"keys":   func(s *Step) { s.Keys = append(s.Keys, 1<<50) },
		"hashes": func(s *Step) { s.Hashes = append(s.Hashes, Hash{}) },
		"groups": func(s *Step) { s.Groups = append(s.Groups, Hash{}) },
	}
	for _, key := range []uint64{7, 31, 1<<40 + 100, 1<<40 + 101, 1 << 50, 1 << 63} {
		for name, add := range junk {
			for i := range m.Prove(key, testHasher{}).Path {
				p := m.Prove(key, testHasher{})
				s := &p.Path[i]
				if s.Kind != Bucket && (name == "base" || name == "used") || s.Kind == Branch && name == "shift" {
					continue // covered by the digest, or the path
				}
				if _, _, err := p.Verify(root, key); err != nil {
					t.Fatalf("key %#x: %v", key, err)
				}
				add(s)
				if _, _, err := p.Verify(root, key); err == nil {
					t.Errorf("key %#x, step %d of kind %d: %s too many are accepted", key, i, s.Kind, name)
				}
			}
		}
	}
	for _, f := range forgeries() { // a proof shows a node at its place, in a map of that many entries
		want, asked := provable[f.name]
		if !asked {
			continue
		}
		p, root := (&forger{top: f.top, entries: f.entries}).prove(40)
		if _, _, err := p.Verify(root, 40); want != (err == nil) {
			t.Errorf("proof of a forged map, %s: %v", f.name, err)
		}
	}
}

// prove makes a proof of a forged map.
func (f *forger) prove(key uint64) (Proof, Hash) {
	_, root := f.Head()
	p := Proof{Entries: f.entries}
	var d digester
	for n := f.top; ; {
		s := Step{View: n.View}
		slot, ok := uint(0), false
		if n.Kind != Bucket {
			var groups []Hash
			next := 0
			for g := range groupCount {
				if mask := bitmap(n.Used).group(g); mask != 0 {
					groups = append(groups, d.foreignGroup(n.Kind, mask, n.Hashes[next:next+mask.count()]))
					next += mask.count()
				}
			}
			s.Groups = groups
			if slot, ok = n.route(key); !ok {
				s.Hashes = nil
			} else {
				from := (bitmap(n.Used) & below(slot>>groupBits<<groupBits)).count()
				s.Hashes = s.Hashes[from : from+groupMask(bitmap(n.Used), slot).count()]
			}
		}
		p.Path = append(p.Path, s)
		if n.Kind != Branch || !ok {
			return p, root
		}
		n = n.kids[(bitmap(n.Used)&upTo(slot)).count()-1]
	}
}
