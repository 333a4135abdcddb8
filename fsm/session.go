package fsm

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"lockstep/pagetrie"
)

// session is one client's record: which of its messages ran last, and how that ended. Records are immutable.
type session struct {
	_ struct{} `cbor:",toarray"`

	ID SessionID
	// LastUse orders sessions for eviction: it grows with every use of any session and no two are equal.
	LastUse uint64
	// Sequence is the newest sequence number that ran; 0 for none.
	Sequence uint64
	// Result is the outcome of that message, its reply dropped if ReplyDropped.
	Result       Result
	ReplyDropped bool

	hash pagetrie.Hash
}

// The sessions are kept in a two-level tree of fixed fan-out over the low bits of the session number. Numbers are given
// out in order, so the buckets fill evenly. A change copies one bucket and one group: a snapshot is a copy of the
// top, and a round's hash covers only what the round touched.
const (
	sessionFanBits = 6
	sessionFan     = 1 << sessionFanBits
)

// sessionTable is a value: a copy of it is a snapshot. A group or bucket is changed in place only by the table that
// made it since its last snapshot, told by the round in which it was made.
type sessionTable struct {
	groups [sessionFan]*sessionGroup
	count  uint64
}

type sessionGroup struct {
	owner   RoundNumber
	buckets [sessionFan]*sessionBucket
	hash    *pagetrie.Hash
}

type sessionBucket struct {
	owner    RoundNumber
	sessions []*session // ascending by ID
	hash     *pagetrie.Hash
}

func (t *sessionTable) get(id SessionID) *session {
	group := t.groups[groupOf(id)]
	if group == nil || group.buckets[bucketOf(id)] == nil {
		return nil
	}
	sessions := group.buckets[bucketOf(id)].sessions
	if i, found := searchSessions(sessions, id); found {
		return sessions[i]
	}
	return nil
}

// put inserts or replaces a session. round is the one being applied: what it made itself, it changes in place.
func (t *sessionTable) put(round RoundNumber, s *session) error {
	encoded, err := encMode.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode session %d: %w", s.ID, err)
	}
	s.hash = hashParts("lockstep/session/2", encoded)
	bucket := t.bucketForChange(round, s.ID)
	i, found := searchSessions(bucket.sessions, s.ID)
	if found {
		bucket.sessions[i] = s
		return nil
	}
	bucket.sessions = slices.Insert(bucket.sessions, i, s)
	t.count++
	return nil
}

// remove takes a session out; it must be there.
func (t *sessionTable) remove(round RoundNumber, id SessionID) {
	bucket := t.bucketForChange(round, id)
	i, found := searchSessions(bucket.sessions, id)
	if !found {
		panic(fmt.Sprintf("fsm: session %d to remove is not in the table", id))
	}
	bucket.sessions = slices.Delete(bucket.sessions, i, i+1)
	t.count--
}

func (t *sessionTable) bucketForChange(round RoundNumber, id SessionID) *sessionBucket {
	group := t.groups[groupOf(id)]
	switch {
	case group == nil:
		group = &sessionGroup{owner: round}
	case group.owner != round:
		group = &sessionGroup{owner: round, buckets: group.buckets}
	}
	t.groups[groupOf(id)], group.hash = group, nil
	bucket := group.buckets[bucketOf(id)]
	switch {
	case bucket == nil:
		bucket = &sessionBucket{owner: round}
	case bucket.owner != round:
		bucket = &sessionBucket{owner: round, sessions: slices.Clone(bucket.sessions)}
	}
	group.buckets[bucketOf(id)], bucket.hash = bucket, nil
	return bucket
}

// all lists the sessions in the tree's order.
func (t *sessionTable) all() []*session {
	out := make([]*session, 0, t.count)
	for _, group := range t.groups {
		if group == nil {
			continue
		}
		for _, bucket := range group.buckets {
			if bucket != nil {
				out = append(out, bucket.sessions...)
			}
		}
	}
	return out
}

// root hashes what changed since the last call. It is called on the FSM goroutine before the table is published.
func (t *sessionTable) root() pagetrie.Hash {
	present := newFanHash("lockstep/sessions/2")
	for i, group := range t.groups {
		if group == nil {
			continue
		}
		if group.hash == nil {
			h := group.root()
			group.hash = &h
		}
		present.add(i, group.hash)
	}
	return present.sum()
}

func (g *sessionGroup) root() pagetrie.Hash {
	present := newFanHash("lockstep/session-group/2")
	for i, bucket := range g.buckets {
		if bucket == nil || len(bucket.sessions) == 0 {
			continue
		}
		if bucket.hash == nil {
			list := make([]pagetrie.Hash, len(bucket.sessions))
			for j, s := range bucket.sessions {
				list[j] = s.hash
			}
			h := hashList("lockstep/session-bucket/1", list)
			bucket.hash = &h
		}
		present.add(i, bucket.hash)
	}
	return present.sum()
}

// fanHash hashes the children of a node: which of the sessionFan places are taken, as bits, and the hashes there. A node with few
// children costs little.
type fanHash struct {
	text [32 + 8 + sessionFan*len(pagetrie.Hash{})]byte // domain, bits, hashes
	head int                                            // bytes of the domain
	n    int
	bits uint64
}

func newFanHash(domain string) fanHash {
	var f fanHash
	f.head = copy(f.text[:32], domain)
	f.n = f.head + 8
	return f
}

// add adds a child; places ascend. One without sessions, whose hash is zero, is as good as absent.
func (f *fanHash) add(place int, h *pagetrie.Hash) {
	if *h == (pagetrie.Hash{}) {
		return
	}
	f.bits |= 1 << place
	f.n += copy(f.text[f.n:], h[:])
}

// sum is the node's hash, zero without children.
func (f *fanHash) sum() pagetrie.Hash {
	if f.bits == 0 {
		return pagetrie.Hash{}
	}
	binary.BigEndian.PutUint64(f.text[f.head:], f.bits)
	return sha256.Sum256(f.text[:f.n])
}

func groupOf(id SessionID) int  { return int(id>>sessionFanBits) & (sessionFan - 1) }
func bucketOf(id SessionID) int { return int(id) & (sessionFan - 1) }

func searchSessions(sessions []*session, id SessionID) (int, bool) {
	return slices.BinarySearchFunc(sessions, id, func(s *session, id SessionID) int { return cmp.Compare(s.ID, id) })
}

// sessionOrder finds the session unused for longest. It is derived from the table: only the table is state.
type sessionOrder struct {
	byUse    *list.List // of SessionID, the longest unused first
	elements map[SessionID]*list.Element
}

func newSessionOrder(t *sessionTable) *sessionOrder {
	o := &sessionOrder{byUse: list.New(), elements: make(map[SessionID]*list.Element, t.count)}
	sessions := t.all()
	slices.SortFunc(sessions, func(a, b *session) int { return cmp.Compare(a.LastUse, b.LastUse) })
	for _, s := range sessions {
		o.used(s.ID)
	}
	return o
}

// used makes id the most recently used.
func (o *sessionOrder) used(id SessionID) {
	if e := o.elements[id]; e != nil {
		o.byUse.MoveToBack(e)
		return
	}
	o.elements[id] = o.byUse.PushBack(id)
}

// oldest takes out the session unused for longest; the order must not be empty.
func (o *sessionOrder) oldest() SessionID {
	id := o.byUse.Remove(o.byUse.Front()).(SessionID)
	delete(o.elements, id)
	return id
}
