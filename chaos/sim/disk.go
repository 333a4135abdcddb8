package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/plan"
)

// image is what a log device holds: a contiguous log, and the small values of the stable store. The entries themselves are
// never changed.
type image struct {
	first uint64 // of entries[0]; 1 if there are none and never were
	log   []*raft.Log
	small map[string][]byte
}

func newImage() image { return image{first: 1, small: map[string][]byte{}} }

func (m *image) clone() image {
	return image{first: m.first, log: slices.Clone(m.log), small: maps.Clone(m.small)}
}

func (m *image) last() uint64 { return m.first + uint64(len(m.log)) - 1 }

// disk is the log device of one life of a replica. It implements raft.LogStore and raft.StableStore. What was written and not
// synced is kept apart in undo, so that a crash can lose it.
type disk struct {
	faults *diskFaults
	gate   *gate
	dead   chan struct{} // closed when the life is over
	// reached is told of each step that a crash may fall behind, and of how many parts it is.
	reached func(step plan.Mode, parts int)

	mu    sync.Mutex
	image image
	undo  []undo
	// cut says that entries were cut off the log's end and that nothing was written since.
	cut bool
}

// undo takes back one operation; keep of its entries, for an append, may stay.
type undo struct {
	entries int
	back    func(m *image, keep int)
}

// at is the entry of an index, nil if it is not there.
func (m *image) at(index uint64) *raft.Log {
	if len(m.log) == 0 || index < m.first || index > m.last() {
		return nil
	}
	return m.log[index-m.first]
}

func newDisk(m image, f *diskFaults, g *gate, dead chan struct{}) *disk {
	return &disk{image: m, faults: f, gate: g, dead: dead, reached: func(plan.Mode, int) {}}
}

var errDead = errors.New("the machine is off")

// begin waits as long as the disk makes an operation wait before it does something, and says how it fails; rest is what the sync takes.
func (d *disk) begin(op plan.Op, size int) (rest time.Duration, err error) {
	if !d.gate.pass(d.dead) {
		return 0, errDead
	}
	return d.faults.begin(op, size, d.dead)
}

// finish is the sync at the end of a writing operation. Power that fails while it lasts finds what was written and not synced.
func (d *disk) finish(rest time.Duration) error {
	if !sleep(rest, d.dead) {
		return errDead
	}
	synced, err := d.faults.sync(d.dead)
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.dead: // closed before the device is taken out: what is not safe by now will never be
		return errDead
	default:
	}
	if synced {
		d.undo = nil
	}
	return err
}

// FirstIndex implements raft.LogStore.
func (d *disk) FirstIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.image.log) == 0 {
		return 0, nil
	}
	return d.image.first, nil
}

// LastIndex implements raft.LogStore.
func (d *disk) LastIndex() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.image.log) == 0 {
		return 0, nil
	}
	return d.image.last(), nil
}

// GetLog implements raft.LogStore.
func (d *disk) GetLog(index uint64, out *raft.Log) error {
	if _, err := d.begin(plan.OpRead, 0); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if index < d.image.first || index > d.image.last() {
		return raft.ErrLogNotFound
	}
	*out = *d.image.log[index-d.image.first]
	return nil
}

// StoreLog implements raft.LogStore.
func (d *disk) StoreLog(e *raft.Log) error { return d.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (d *disk) StoreLogs(entries []*raft.Log) error {
	size := 0
	for _, e := range entries {
		size += len(e.Data)
	}
	op := plan.OpAppend
	d.mu.Lock()
	if d.cut {
		op, d.cut = plan.OpReplace, false
	}
	d.mu.Unlock()
	rest, err := d.begin(op, size)
	if err != nil {
		return err
	}
	if err := d.append(entries); err != nil {
		return err
	}
	d.reached(plan.InAppend, len(entries))
	return d.finish(rest)
}

func (d *disk) append(entries []*raft.Log) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &d.image
	if len(m.log) == 0 {
		m.first = entries[0].Index
	}
	for i, e := range entries {
		if want := m.last() + 1; e.Index != want {
			return fmt.Errorf("entry %d written where entry %d belongs (%d of %d)", e.Index, want, i+1, len(entries))
		}
		m.log = append(m.log, copyEntry(e))
	}
	at := m.first + uint64(len(m.log)-len(entries))
	d.undo = append(d.undo, undo{len(entries), func(m *image, keep int) {
		if cut := int(at-m.first) + keep; cut < len(m.log) {
			m.log = m.log[:max(cut, 0)]
		}
	}})
	return nil
}

// DeleteRange implements raft.LogStore: from the beginning or to the end, as raft does.
func (d *disk) DeleteRange(low, high uint64) error {
	rest, err := d.begin(plan.OpTruncate, 0)
	if err != nil {
		return err
	}
	last, err := d.LastIndex()
	if err == nil {
		err = d.remove(low, high)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.cut = last > 0 && high >= last
	d.mu.Unlock()
	d.reached(plan.InCompact, 1)
	return d.finish(rest)
}

func (d *disk) remove(low, high uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &d.image
	if len(m.log) == 0 || high < m.first || low > m.last() {
		return nil
	}
	before := image{first: m.first, log: slices.Clone(m.log)}
	switch {
	case low <= m.first:
		high = min(high, m.last())
		m.log, m.first = slices.Clone(m.log[high+1-m.first:]), high+1
	case high >= m.last():
		m.log = slices.Clone(m.log[:low-m.first])
	default:
		return fmt.Errorf("entries %d to %d lie inside the log %d to %d", low, high, m.first, m.last())
	}
	d.undo = append(d.undo, undo{0, func(m *image, _ int) { m.first, m.log = before.first, before.log }})
	return nil
}

var errNotFound = errors.New("not found") // raft knows it by its text

// Set implements raft.StableStore.
func (d *disk) Set(key, value []byte) error {
	rest, err := d.begin(plan.OpVote, len(value))
	if err != nil {
		return err
	}
	d.mu.Lock()
	name := string(key)
	old, had := d.image.small[name]
	d.image.small[name] = bytes.Clone(value)
	d.undo = append(d.undo, undo{0, func(m *image, _ int) {
		if delete(m.small, name); had {
			m.small[name] = old
		}
	}})
	d.mu.Unlock()
	if name == voteKey && had { // the first value is nobody
		d.reached(plan.InVote, 1)
	}
	return d.finish(rest)
}

// voteKey is where raft keeps the candidate that it voted for.
const voteKey = "LastVoteCand"

// Get implements raft.StableStore.
func (d *disk) Get(key []byte) ([]byte, error) {
	if _, err := d.begin(plan.OpRead, 0); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	value, ok := d.image.small[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(value), nil
}

// SetUint64 implements raft.StableStore.
func (d *disk) SetUint64(key []byte, value uint64) error {
	return d.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (d *disk) GetUint64(key []byte) (uint64, error) {
	value, err := d.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// after is what the device holds after a crash, and how many operations it lost and how many it kept in part.
func (d *disk) after(power plan.Power, r *rand.Rand) (left image, lost, torn int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left = d.image.clone()
	if power == plan.Kept {
		return left, 0, 0
	}
	keep := 0
	if power == plan.Torn {
		keep = r.IntN(max(len(d.undo), 1)) // one at least is not whole
	}
	for i := len(d.undo) - 1; i >= keep; i-- {
		some := 0
		if u := &d.undo[i]; i == keep && power == plan.Torn && u.entries > 1 {
			some, torn = r.IntN(u.entries), 1
		}
		d.undo[i].back(&left, some)
		lost++
	}
	return left, lost, torn
}

// clear empties the device.
func (d *disk) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.image, d.undo = newImage(), nil
}

// damage changes the log on a device whose machine is off or does not look: it is found when it is read.
func (m *image) damage(mode plan.Mode, r *rand.Rand) (what string) {
	if len(m.log) == 0 {
		return ""
	}
	i := r.IntN(len(m.log))
	switch mode {
	case plan.Truncate, plan.Stale:
		cut := len(m.log) - 1 - r.IntN(min(len(m.log), 8))
		m.log = m.log[:max(cut, 1)]
		return fmt.Sprintf("entries after %d are gone", m.last())
	case plan.Zero:
		m.log[i] = &raft.Log{Data: make([]byte, len(m.log[i].Data)), Extensions: make([]byte, len(m.log[i].Extensions))}
		return fmt.Sprintf("entry %d is all zero", m.first+uint64(i))
	}
	e := copyEntry(m.log[i])
	where := flipEntry(e, r)
	m.log[i] = e
	return fmt.Sprintf("entry %d has a bit of its %s flipped", m.first+uint64(i), where)
}

var errFull = fmt.Errorf("write log: %w", syscall.ENOSPC)
