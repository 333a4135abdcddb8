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
	// Entries and the root of the map. Both stay the same for the life of a Remote.
	Head() (entries uint64, root Hash)
	// Nodes returns a view of each of the refs, at most MaxRefs, in their order: one round trip.
	Nodes(refs []Ref) ([]View, error)
}

// MaxRefs is how many nodes are asked for in one round trip: 1 MiB of hashes at most.
const MaxRefs = 1024

// Nodes returns the views of the nodes that refs name; an error if there is no such node.
func (m Map) Nodes(h Hasher, refs []Ref) ([]View, error) {
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
// checked against the remote root, so a wrong answer is an error and not a wrong difference.
//
// Cost: one round trip for each level of the remote map (and for each MaxRefs nodes of it that differ), carrying the
// nodes on the way to the keys that differ.
func RemoteDiff(local Map, h Hasher, remote Remote) ([]RemoteChange, error) {
	w := walk{local: local, digester: digester{hasher: h}}
	entries, root := remote.Head()
	if root == local.Root(h) {
		return nil, nil
	}
	front := []wanted{{last: 1<<64 - 1}}
	if entries == 0 {
		if root != w.root(nil) {
			return nil, fmt.Errorf("remote root %v is not that of an empty map", root)
		}
		w.compare(front[0], nil, nil)
		front = nil
	}
	for depth := 0; len(front) > 0; depth++ {
		var next []wanted
		for batch := range slices.Chunk(front, MaxRefs) {
			views, err := fetch(remote, batch, depth)
			if err != nil {
				return nil, err
			}
			for i := range views {
				digest := w.foreign(&views[i])
				if depth == 0 && w.seal(entries, digest) != root || depth > 0 && digest != batch[i].digest {
					return nil, fmt.Errorf("remote node at depth %d for key %#x: not the one that the root has", depth, batch[i].key)
				}
				next = w.visit(next, batch[i], &views[i])
			}
		}
		front = next
	}
	slices.SortFunc(w.changes, func(a, b RemoteChange) int { return cmp.Compare(a.Key, b.Key) })
	return w.changes, nil
}

// wanted is a remote node to look at, all that the remote map has from first to last.
type wanted struct {
	key         uint64 // that leads to the node
	first, last uint64
	digest      Hash
}

// walk is one run of RemoteDiff.
type walk struct {
	digester
	local   Map
	changes []RemoteChange
}

func fetch(remote Remote, batch []wanted, depth int) ([]View, error) {
	refs := make([]Ref, len(batch))
	for i, want := range batch {
		refs[i] = Ref{Key: want.key, Depth: uint8(depth)}
	}
	views, err := remote.Nodes(refs)
	if err != nil {
		return nil, fmt.Errorf("fetch nodes at depth %d: %w", depth, err)
	}
	if len(views) != len(refs) {
		return nil, fmt.Errorf("fetch nodes at depth %d: %d answers to %d questions", depth, len(views), len(refs))
	}
	for i := range views {
		if err := views[i].check(); err != nil {
			return nil, fmt.Errorf("fetch nodes at depth %d: %w", depth, err)
		}
	}
	return views, nil
}

// visit compares v with what the local map has in its place, and appends the kids of v that have to be looked at.
func (w *walk) visit(next []wanted, at wanted, v *View) []wanted {
	if v.Kind != Branch {
		w.compare(at, v.keys(), v.Hashes)
		return next
	}
	first := at.first
	for i, rest := 0, bitmap(v.Used); rest != 0; i++ {
		key := v.Base | uint64(rest.lowest())<<v.Shift
		rest &= rest - 1
		last := at.last
		if rest != 0 {
			last = v.Base | uint64(rest.lowest())<<v.Shift - 1
		}
		same := alone(w.local.root, first, last)
		if same == nil || w.node(same) != v.Hashes[i] {
			next = append(next, wanted{key: key, first: first, last: last, digest: v.Hashes[i]})
		}
		first = last + 1
	}
	return next
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
