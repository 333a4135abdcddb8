package pagetrie

import (
	"cmp"
	"fmt"
	"slices"
)

// Ref names a node: the one at Depth on the way to Key. The topmost node has depth 0.
type Ref struct {
	Key   uint64
	Depth uint8
}

// Remote is one version of a map on another machine. Who implements it sends the refs there and calls [Map.Nodes].
type Remote interface {
	// Head is the number of entries and the root of the map. Both stay the same for the life of a Remote. Everything else is
	// checked against them, and nothing checks them: to learn how a map differs that others have agreed on, give their root,
	// not the one that the machine asked for nodes tells.
	Head() (entries uint64, root Hash)
	// Nodes returns a view of each of the refs, at most MaxRefs, in their order: one round trip. The answer need not be trusted.
	Nodes(refs []Ref) ([]View, error)
}

// MaxRefs is how many nodes are asked for in one round trip: 1 MiB of hashes at most.
const MaxRefs = 1024

// Nodes returns the views of the nodes that refs name; an error if there is no such node, or if there are more than MaxRefs.
func (m Map) Nodes(h Hasher, refs []Ref) ([]View, error) {
	if len(refs) > MaxRefs {
		return nil, fmt.Errorf("%d nodes asked for at once, at most %d are given", len(refs), MaxRefs)
	}
	d := digester{hasher: h}
	views := make([]View, 0, len(refs))
	for _, ref := range refs {
		n := m.root
		for range ref.Depth {
			x, ok := open(n).(*inner)
			if !ok || x.rank(x.slot(ref.Key)) == 0 {
				n = nil
				break
			}
			n = x.kids.at(x.rank(x.slot(ref.Key)) - 1)
		}
		if n == nil {
			return nil, fmt.Errorf("no node at depth %d for key %#x", ref.Depth, ref.Key)
		}
		views = append(views, d.view(n))
	}
	return views, nil
}

// RemoteChange is one key at which two maps on different machines differ.
type RemoteChange struct {
	Key                 uint64
	Local, Remote       Hash // of the values; zero without HasLocal or HasRemote
	HasLocal, HasRemote bool
}

// RemoteDiff returns the keys at which local differs from a map on another machine, ascending. Every node received is
// checked: its digest against the root that [Remote.Head] gives, and its place, so that no key is told twice or at a place where
// a lookup would not find it. A node that local has as well is not asked for. An answer that does not fit is an error that
// names the node; so is a map of which more than 2^22 nodes differ.
//
// Cost: one round trip for each level of the remote map (and for each MaxRefs nodes of it that differ), carrying the
// nodes on the way to the keys that differ.
func RemoteDiff(local Map, h Hasher, remote Remote) ([]RemoteChange, error) {
	w := walk{local: local, foreignMap: newForeignMap(remote)}
	w.hasher = h
	if w.root == local.Root(h) {
		return nil, nil
	}
	front := []wanted{{last: 1<<64 - 1}}
	if w.entries == 0 {
		w.compare(front[0], nil, nil)
		return w.changes, w.checkEmpty()
	}
	for depth := 0; len(front) > 0; depth++ {
		next, err := w.descend(front, depth)
		if err != nil {
			return nil, err
		}
		front = next
	}
	slices.SortFunc(w.changes, func(a, b RemoteChange) int { return cmp.Compare(a.Key, b.Key) })
	return w.changes, nil
}

// wanted is a remote node to look at, all that the remote map has from first to last.
type wanted struct {
	place
	first, last uint64
	digest      Hash
}

// walk is one run of RemoteDiff.
type walk struct {
	foreignMap
	local   Map
	changes []RemoteChange
}

// descend looks at the nodes of the front, all of one depth, and returns those below them to look at.
func (w *walk) descend(front []wanted, depth int) (next []wanted, err error) {
	for batch := range slices.Chunk(front, MaxRefs) {
		places := make([]place, len(batch))
		for i := range batch {
			places[i] = batch[i].place
		}
		views, err := w.fetch(places, depth)
		if err != nil {
			return nil, err
		}
		for i := range views {
			if _, err := w.take(places[i], &views[i], batch[i].digest); err != nil {
				return nil, err
			}
			if next, err = w.visit(next, batch[i], &views[i]); err != nil {
				return nil, err
			}
		}
	}
	for i := range front { // now all kids of the branches above are known
		if in := front[i].in; in != nil && (i == 0 || in != front[i-1].in) {
			if err := in.check(); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

// visit compares v with what the local map has in its place, and appends the kids of v that have to be looked at.
func (w *walk) visit(next []wanted, at wanted, v *View) ([]wanted, error) {
	if v.Kind != Branch {
		w.compare(at, v.keys(), v.Hashes)
		return next, nil
	}
	o := newOpened(v)
	first := at.first
	for i, rest := 0, o.starts; rest != 0; i++ {
		p := place{o, rest.lowest()}
		rest &= rest - 1
		last := at.last
		if rest != 0 {
			last = p.last()
		}
		same := alone(w.local.root, first, last)
		if same == nil || w.node(same) != v.Hashes[i] {
			next = append(next, wanted{place: p, first: first, last: last, digest: v.Hashes[i]})
		} else if out := outline(same); p.admit(&out) != nil {
			return nil, p.admit(&out)
		}
		first = last + 1
	}
	return next, o.check()
}

// keys are those of the values of v, a bucket or leaf.
func (v *View) keys() []uint64 {
	if v.Kind == Bucket {
		return v.Keys
	}
	keys := make([]uint64, 0, len(v.Hashes))
	for rest := bitmap(v.Used); rest != 0; rest &= rest - 1 {
		keys = append(keys, v.Base+uint64(rest.lowest()))
	}
	return keys
}

// compare holds what the local map has in a range against all that the remote map has there.
func (w *walk) compare(at wanted, keys []uint64, hashes []Hash) {
	eachWithin(w.local.root, at.first, at.last, func(k uint64, v Value) bool {
		for len(keys) > 0 && keys[0] < k {
			w.changes = append(w.changes, RemoteChange{Key: keys[0], Remote: hashes[0], HasRemote: true})
			keys, hashes = keys[1:], hashes[1:]
		}
		change := RemoteChange{Key: k, Local: w.value(v), HasLocal: true}
		if len(keys) > 0 && keys[0] == k {
			change.Remote, change.HasRemote = hashes[0], true
			keys, hashes = keys[1:], hashes[1:]
		}
		if !change.HasRemote || change.Local != change.Remote {
			w.changes = append(w.changes, change)
		}
		return true
	})
	for i := range keys {
		w.changes = append(w.changes, RemoteChange{Key: keys[i], Remote: hashes[i], HasRemote: true})
	}
}

// alone returns the node below n that is exactly what n has from first to last; nil if there is none.
func alone(n node, first, last uint64) node {
	for n != nil {
		lo, hi := keyRange(n)
		if lo >= first && hi <= last {
			return n
		}
		if hi < first || lo > last {
			return nil
		}
		x, ok := open(n).(*inner)
		if !ok {
			return nil
		}
		from, to := 0, x.kids.count()
		if first > lo {
			from = max(x.rank(x.slot(first))-1, 0)
		}
		if last < hi {
			to = x.rank(x.slot(last))
		}
		n = nil
		for i := from; i < to; i++ {
			if lo, hi := keyRange(x.kids.at(i)); hi < first || lo > last {
				continue
			} else if n != nil {
				return nil
			}
			n = x.kids.at(i)
		}
	}
	return nil
}

// keyRange holds all keys of n: tight for a bucket, all that could be there for a heavy node.
func keyRange(n node) (lo, hi uint64) {
	switch x := n.(type) {
	case *bucket:
		return x.room[0].Key, x.room[x.n-1].Key
	case *leaf:
		return x.base, x.base | slotMask
	}
	base, above := extent(n)
	return base, base | spanMask(above-fanBits)
}
