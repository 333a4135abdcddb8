package node

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"lockstep/snapshot"
)

// Every byte that crosses the link is counted, in both directions: greeting, frames, descriptions, indexes, pages.
func TestSyncSendsWhatIsMissing(t *testing.T) {
	const total = 8192 // pages, 32 MiB
	for _, missing := range []int{0, 1, 37, 1000, total} {
		t.Run(fmt.Sprintf("missing=%d", missing), func(t *testing.T) {
			p := newSyncPair(t)
			state := newPages(total, 1)
			if missing < total {
				p.follower.checkpoint(5, state)
			}
			state = state.clone()
			for i := range missing % total {
				state.set(uint64(i*7%total*3/2), 2)
			}
			p.leader.checkpoint(9, state)
			p.leader.mustSend("n2")
			p.same(t)
			forth, both := p.wire.forth.Load(), p.wire.forth.Load()+p.wire.back.Load()
			limit := int64(missing)*snapshot.PageSize*110/100 + 256<<10
			if missing == total {
				limit = int64(missing)*snapshot.PageSize*102/100 + 256<<10
			}
			t.Logf("%d pages missing: %d bytes to the follower, %d in both directions, at most %d", missing, forth, both, limit)
			if both > limit {
				t.Errorf("%d bytes crossed the link for %d missing pages, at most %d are promised", both, missing, limit)
			}
			sent, got := p.leader.last(), p.follower.last()
			if sent.State != transferDone || sent.Pages != uint64(missing) || sent.Known != uint64(total-missing) || sent.Bytes != sent.Total || sent.Bytes == 0 {
				t.Errorf("sending: %+v", sent)
			}
			if got.State != transferDone || got.Pages != uint64(missing) || got.Bytes != sent.Bytes || got.Total != sent.Total || got.Carried > uint64(both) {
				t.Errorf("receiving: %+v", got)
			}
		})
	}
}

// What compresses is sent compressed.
func TestSyncCompresses(t *testing.T) {
	p := newSyncPair(t)
	state := pages{}
	for i := range uint64(1024) {
		b := make([]byte, snapshot.PageSize)
		copy(b, fmt.Sprintf("page %d and then nothing", i))
		state[i] = b
	}
	p.leader.checkpoint(9, state)
	p.leader.mustSend("n2")
	p.same(t)
	if n := p.wire.forth.Load(); n > 1024*snapshot.PageSize/10 {
		t.Errorf("%d bytes for %d pages that are nearly empty", n, len(state))
	}
}

// A transfer that is cut anywhere goes on where it was, whoever is restarted in between.
func TestSyncResumesAfterCuts(t *testing.T) {
	whole := newSyncPair(t)
	state := newPages(1024, 1)
	whole.leader.checkpoint(9, state)
	whole.leader.mustSend("n2")
	length := whole.wire.forth.Load()

	var cuts []int64
	for at := int64(1); at < 64; at += 9 { // within the greeting and the offer
		cuts = append(cuts, at)
	}
	for i := range int64(16) {
		cuts = append(cuts, 64+(length-64)*i/16+i*i)
	}
	cuts = append(cuts, length-1, length-5000)
	for i, cut := range cuts {
		p := newSyncPair(t)
		p.leader.checkpoint(9, state)
		p.wire.cutAt.Store(cut)
		if resp, err := p.leader.send("n2"); err == nil {
			t.Fatalf("cut at %d of %d: %+v", cut, length, resp)
		}
		p.follower.settle()
		switch i % 3 {
		case 1:
			p.follower.restart()
		case 2:
			p.leader.restart()
		}
		p.wire.cutAt.Store(0)
		first := p.wire.forth.Swap(0)
		p.leader.mustSend("n2")
		p.same(t)
		// At most one chunk is lost with the connection, and one that was not kept yet; the indexes of what is missing come again.
		if again := p.wire.forth.Load(); first+again > length+2*chunkBytes+64*1024 {
			t.Errorf("cut at %d: %d bytes before and %d after, %d without the cut", cut, first, again, length)
		}
	}
}

// Any number of cuts in a row loses nothing of what came.
func TestSyncSurvivesManyCuts(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(8192, 1))
	p.wire.cutAt.Store(1 << 20)
	attempts := 0
	for ; attempts < 200; attempts++ {
		if _, err := p.leader.send("n2"); err == nil {
			break
		}
	}
	p.same(t)
	if attempts < 33 || attempts > 64 {
		t.Errorf("%d attempts with 1 MiB each for 32 MiB", attempts)
	}
}

// Another leader goes on where the last one was cut, also with a newer checkpoint.
func TestSyncGoesOnWithAnotherLeader(t *testing.T) {
	for _, index := range []uint64{9, 11} {
		p := newSyncPair(t)
		state := newPages(2048, 1)
		p.leader.checkpoint(9, state)
		p.wire.cutAt.Store(5 << 20)
		if _, err := p.leader.send("n2"); err == nil {
			t.Fatal("it was not cut")
		}
		p.follower.settle()
		p.wire.cutAt.Store(0)
		p.wire.forth.Store(0)
		other := newSyncEnd(t, "n3", Peer{ID: "n2", Raft: p.wire.addr()})
		other.term.Store(4)
		p.follower.term.Store(4)
		if index > 9 {
			other.checkpoint(8, state) // its layers are others
			state = state.clone()
			state.set(3, 2)
			state.set(4001, 2)
		}
		other.checkpoint(index, state)
		other.mustSend("n2")
		p.leader = other
		p.same(t)
		if r := other.last(); r.Known < 1024 || r.Pages+r.Known != uint64(len(state)) {
			t.Errorf("the other leader sent %d pages, %d were known of %d", r.Pages, r.Known, len(state))
		}
	}
}

// A transfer that a newer leader begins cuts that of the one before; an older leader's is refused.
func TestSyncNewestLeaderCounts(t *testing.T) {
	p := newSyncPair(t)
	state := newPages(64, 1)
	p.leader.checkpoint(9, state)
	slow := dialSync(t, p.follower) // offers in term 3 and then says nothing
	slow.offer(3, 9)
	slow.expect(kindHave)
	p.leader.term.Store(2)
	p.follower.term.Store(2)
	if _, err := p.leader.send("n2"); err == nil || !strings.Contains(err.Error(), "leader of term 3") {
		t.Errorf("an older leader: %v", err)
	}
	p.leader.term.Store(4)
	p.leader.mustSend("n2")
	p.same(t)
	slow.expectEnd()
	p.leader.term.Store(1)
	if resp, err := p.leader.send("n2"); err != nil || resp.Success || resp.Term != 2 {
		t.Errorf("a leader of a term that is over: %+v, %v", resp, err)
	}
}

// What is older than the own state, or there already, changes nothing.
func TestSyncNeverGoesBack(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(64, 1))
	p.follower.checkpoint(12, newPages(64, 3))
	before := string(p.follower.stream())
	for range 2 {
		p.leader.mustSend("n2") // it is told that all is well
		if string(p.follower.stream()) != before || p.follower.applied.Load() != 12 {
			t.Fatal("the follower was taken back")
		}
	}
	if n := p.wire.forth.Load(); n > 1000 {
		t.Errorf("%d bytes were sent for nothing", n)
	}
}

// A checkpoint that raft refuses is not there, but its pages are not sent again.
func TestSyncRefusedByRaft(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(512, 1))
	p.follower.refuse = errors.New("not now")
	if _, err := p.leader.send("n2"); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Fatalf("refused: %v", err)
	}
	if metas, err := p.follower.store.List(); err != nil || len(metas) > 0 {
		t.Fatalf("published: %v, %v", metas, err)
	}
	p.follower.refuse = nil
	p.wire.forth.Store(0)
	p.leader.mustSend("n2")
	p.same(t)
	if n := p.wire.forth.Load(); n > 4096 {
		t.Errorf("%d bytes were sent again", n)
	}
}

// Pages that rotted on the follower's disk are found, set aside, and sent.
func TestSyncReplacesRottenBase(t *testing.T) {
	p := newSyncPair(t)
	state := newPages(512, 1)
	p.follower.checkpoint(5, state)
	rotPages(t, p.follower.dir)
	state = state.clone()
	state.set(7, 2)
	p.leader.checkpoint(9, state)
	if _, err := p.leader.send("n2"); err == nil || !strings.Contains(err.Error(), "damaged at offset") {
		t.Fatalf("with a rotten base: %v", err)
	}
	p.leader.mustSend("n2")
	if string(p.leader.stream()) != string(p.follower.stream()) {
		t.Error("the follower's checkpoint is not the leader's")
	}
}

// fullDisk is a disk with room for so many bytes more.
type fullDisk struct {
	snapshot.OS
	room *atomic.Int64
}

func (d fullDisk) Create(path string) (snapshot.File, error) {
	if d.room.Load() <= 0 {
		return nil, &os.PathError{Op: "create", Path: path, Err: syscall.ENOSPC}
	}
	f, err := d.OS.Create(path)
	if err != nil {
		return nil, err
	}
	return &fullFile{f, path, d.room}, nil
}

type fullFile struct {
	snapshot.File
	path string
	room *atomic.Int64
}

func (f *fullFile) WriteAt(p []byte, off int64) (int, error) {
	n := int64(len(p))
	if left := f.room.Add(-n); left < 0 {
		n = max(n+left, 0)
		written, err := f.File.WriteAt(p[:n], off)
		return written, errors.Join(err, &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC})
	}
	return f.File.WriteAt(p, off)
}

// A follower whose disk fills up while it is sent a checkpoint says so to its leader, in words, and in its own report; it keeps what
// it has, and with room again it is sent the rest.
func TestSyncOnAFullDisk(t *testing.T) {
	for _, room := range []int64{0, 10 << 10, 1 << 20, 2<<20 + 100<<10, 3 << 20} { // the state takes 2 MiB, and another 2 while it is assembled
		p := newSyncPair(t)
		state := newPages(512, 1)
		p.follower.checkpoint(5, pages{7: state[7]})
		left := &atomic.Int64{}
		left.Store(room)
		p.follower.fs = fullDisk{room: left}
		p.follower.restart()
		p.leader.checkpoint(9, state)
		_, err := p.leader.send("n2")
		if err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Fatalf("room for %d: %v", room, err)
		}
		p.follower.settle()
		for _, end := range []*syncEnd{p.leader, p.follower} {
			if r := end.last(); r.State != transferFailed || !strings.Contains(r.Reason, "no space left on device") {
				t.Errorf("room for %d: report of %s: %+v", room, end.id, r)
			}
		}
		if metas, err := p.follower.store.List(); err != nil || len(metas) != 1 || metas[0].Index != 5 {
			t.Fatalf("room for %d: its own checkpoint is gone: %v, %v", room, metas, err)
		}
		left.Store(1 << 40)
		p.wire.forth.Store(0)
		p.leader.mustSend("n2")
		p.same(t)
		// What was kept is not sent again; the pages that waited for the end of a batch are.
		most := int64(len(state))*snapshot.PageSize*110/100 + 256<<10 - max(0, min(room, 2<<20)-512<<10)
		if n := p.wire.forth.Load(); n > most {
			t.Errorf("room for %d: %d bytes were sent after it, at most %d should be", room, n, most)
		}
	}
}

// A leader whose checkpoint is rotten says so, sends nothing of it, and sets it aside.
func TestSyncOfRottenCheckpoint(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(512, 1))
	rotPages(t, p.leader.dir)
	if _, err := p.leader.send("n2"); !snapshot.IsDamage(err) {
		t.Fatalf("with a rotten checkpoint: %v", err)
	}
	if metas, err := p.leader.store.List(); err != nil || len(metas) > 0 {
		t.Errorf("it is still offered: %v, %v", metas, err)
	}
	if metas, err := p.follower.store.List(); err != nil || len(metas) > 0 {
		t.Errorf("it was installed: %v, %v", metas, err)
	}
}
