package real

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/replay"
	"lockstep/snapshot"
)

// damage changes files of replicas while they are down. A plan within the budget counts on the quiet windows between its episodes to be
// long enough for repairs: where one was not, the harm waits for another window, and is left out if that was not enough either.
func (s *strike) damage() {
	for _, m := range s.nodes {
		if s.plan.Allow == (plan.Allow{}) && !s.dispensable(m, s.plan.Time.Window, false) {
			continue
		}
		m.mark(0, s.fault.Kind == plan.CorruptLog)
		m.hold(s.id, false)
		e := history.Event{Kind: history.Damaged, Node: uint8(m.number), Fault: uint32(s.id)}
		path := filepath.Join(m.dir, "raft.db")
		if s.fault.Kind == plan.CorruptCkpt {
			path, e.Index = newestPages(m.dir)
		}
		if path != "" {
			random := rand.New(rand.NewPCG(s.plan.Seed, uint64(s.id)<<8|uint64(m.number)))
			what, err := damageFile(path, s.fault.Variant(), random)
			if err == nil {
				s.hits++
				rel, _ := filepath.Rel(m.dir, path) // both are absolute
				e.Text = fmt.Sprintf("%s: %s", rel, what)
				s.record(e)
			}
			s.note(m.number, err)
		}
		s.note(m.number, m.release())
	}
}

// newestPages finds the largest file of the newest checkpoint, and the checkpoint's index.
func newestPages(dir string) (path string, index uint64) {
	all, err := replay.ListCheckpoints(filepath.Join(dir, "checkpoints"))
	if err != nil || len(all) == 0 {
		return "", 0
	}
	newest := all[len(all)-1]
	c, err := snapshot.OpenDir(newest)
	if err != nil { // it is damaged already
		return "", 0
	}
	index = c.Index
	c.Close()
	largest := int64(-1)
	files, _ := os.ReadDir(newest)
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() && info.Size() > largest {
			path, largest = filepath.Join(newest, f.Name()), info.Size()
		}
	}
	return path, index
}

// blockBytes is the size of the blocks that are zeroed, swapped and made stale.
const blockBytes = 4096

// errSmall says that a file is too small for a kind of damage.
var errSmall = errors.New("the file is too small for this damage")

// damageFile changes a file and says how. A file that other checkpoints share by a link is copied first.
func damageFile(path string, mode plan.Mode, r *rand.Rand) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if len(data) == 0 {
		return "", errSmall
	}
	block := func() []byte {
		at := r.IntN((len(data)+blockBytes-1)/blockBytes) * blockBytes
		return data[at:min(at+blockBytes, len(data))]
	}
	what, before := "", bytes.Clone(data)
	switch mode {
	case plan.Truncate:
		at := r.IntN(len(data))
		what, data = fmt.Sprintf("cut off at byte %d of %d", at, len(data)), data[:at]
	case plan.Zero:
		clear(block())
		what = "a block is zeros"
	case plan.Extend:
		data, what = append(data, byte(r.IntN(256))), "one more byte"
	case plan.Swap, plan.Stale:
		if len(data) < 2*blockBytes {
			return "", errSmall
		}
		a, b := block(), block()
		n := min(len(a), len(b))
		old := append([]byte(nil), a[:n]...)
		copy(a, b[:n])
		if what = "a block has the bytes of another one"; mode == plan.Swap {
			copy(b, old)
			what = "two blocks have changed places"
		}
	default:
		at := r.IntN(len(data))
		data[at] ^= 1 << r.IntN(8)
		what = fmt.Sprintf("a flipped bit in byte %d of %d", at, len(data))
	}
	if bytes.Equal(data, before) {
		data[0] ^= 1
		what = fmt.Sprintf("a flipped bit in byte 0 of %d", len(data))
	}
	return what, replaceFile(path, data)
}

// replaceFile writes a file in place of another one, with its own inode.
func replaceFile(path string, data []byte) error {
	temporary := path + ".damaged"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// wipe takes everything from replicas. Carefully: only while the cluster can do without what each of them has.
func (s *strike) wipe() {
	for _, m := range s.nodes {
		if s.fault.Variant() == plan.Careful && !s.dispensable(m, time.Until(s.start.Add(s.fault.End())), true) {
			continue
		}
		m.hold(s.id, false)
		defer func() { s.note(m.number, m.release()) }()
		if _, err := os.Stat(m.dir); err != nil { // another fault has wiped it already
			continue
		}
		if err := os.RemoveAll(m.dir); err != nil {
			s.note(m.number, err)
			continue
		}
		s.hits++
		defer s.returned(m, s.track.view().newest)
	}
	<-s.ctx.Done()
}

// dispensable waits until every other replica is up and has applied all that any replica has, and, if the replica may not be the one
// that leads, until another one does. False means that it took too long or the fault is over.
func (s *strike) dispensable(m *member, within time.Duration, led bool) bool {
	return s.track.wait(within, s.ctx.Done(), func(v view) bool { return v.canSpare(m.number) && (!led || v.leader != 0 && v.leader != m.number) })
}

// canSpare reports whether every replica but one is up and has applied all that any replica has.
func (v *view) canSpare(number int) bool {
	for i, n := range v.nodes {
		if i != number-1 && (!n.up || n.round < v.newest) {
			return false
		}
	}
	return true
}

// returned notes when a wiped replica has caught up, some time later.
func (s *strike) returned(m *member, newest uint64) {
	s.readers.Go(func() {
		if s.track.wait(s.plan.Time.Run+s.plan.Time.Quiet, s.alarm, func(v view) bool {
			return v.nodes[m.number-1].up && v.nodes[m.number-1].round >= newest || s.ended()
		}) {
			s.mark(history.MarkWiped, m.number)
		}
	})
}

// ended reports whether the history is over.
func (r *run) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}
