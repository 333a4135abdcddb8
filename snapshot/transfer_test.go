package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"
)

func admitAll(*Manifest) error { return nil }

// deltaFor makes the delta of a checkpoint for what a transfer has, by way of the encoded description.
func deltaFor(t testing.TB, c *Checkpoint, transfer *Transfer) ([]byte, DeltaReport) {
	t.Helper()
	had, err := transfer.Have(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	have, err := DecodeHave(had.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var sent bytes.Buffer
	r, err := writeDelta(&sent, c, have, testHashing(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes != uint64(sent.Len()) {
		t.Fatalf("report %+v, sent %d", r, sent.Len())
	}
	return sent.Bytes(), r
}

// transferPair is a leader with two checkpoints and a follower with the older one or nothing.
type transferPair struct {
	model    *model
	newest   *Checkpoint
	stream   []byte // of the newest
	follower *Store
	leader   *memFS
	missing  uint64
}

func newTransferPair(t testing.TB, seed uint64, wiped bool) *transferPair {
	rng := rand.New(rand.NewPCG(seed, 11))
	p := &transferPair{follower: openTestStore(t, Config{FS: newMemFS(), Dir: "/follower"}), leader: newMemFS()}
	leader := openTestStore(t, Config{FS: p.leader, Dir: "/leader"})
	m := randomModel(rng, 400)
	m.memory("canister-8", 16).set(3, 4)
	m.memories["canister-7"].set(399, 5)
	write(t, leader, 1, m)
	old := m.clone()
	m.mutate(rng, 1+rng.IntN(20))
	m.memories["canister-7"].set(399, 0) // the older one has a page behind all of the newer one's
	m.memory("canister-9", 16).set(2, 2)
	var err error
	if p.newest, err = leader.OpenCheckpoint(write(t, leader, 2, m)); err != nil {
		t.Fatal(err)
	}
	_, r, err := leader.Open(p.newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	if p.stream, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if !wiped {
		write(t, p.follower, 1, old)
	}
	for name, mem := range m.memories {
		for page, is := range mem.pages {
			if wiped || old.memories[name] == nil || old.memories[name].pages[page].Hash != is.Hash {
				p.missing++
			}
		}
	}
	p.model = m
	return p
}

func (p *transferPair) begin(t testing.TB) *Transfer {
	t.Helper()
	transfer, err := p.follower.BeginTransfer()
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

// sink is what raft makes for the newest checkpoint.
func (p *transferPair) sink(t testing.TB) raft.SnapshotSink {
	t.Helper()
	c := p.newest
	sink, err := p.follower.Create(raft.SnapshotVersionMax, c.Index, c.Term, c.Configuration, c.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// receiveCut gives a transfer the beginning of a delta, and closes it.
func receiveCut(t testing.TB, transfer *Transfer, part []byte) {
	t.Helper()
	if err := transfer.Receive(bytes.NewReader(part), admitAll, nil); err == nil {
		t.Fatal("a transfer that was cut has succeeded")
	}
	if err := transfer.Close(); err != nil {
		t.Fatal(err)
	}
}

// finish receives a delta and checks everything about the result.
func (p *transferPair) finish(t testing.TB, transfer *Transfer, delta []byte) {
	t.Helper()
	var last Progress
	if err := transfer.Receive(bytes.NewReader(delta), admitAll, func(q Progress) { last = q }); err != nil {
		t.Fatal(err)
	}
	if last.Bytes != uint64(len(delta)) || last.Total != last.Bytes {
		t.Errorf("progress ended with %+v of %d bytes", last, len(delta))
	}
	r, size := transfer.result.newStream(testHashing())
	if b, err := io.ReadAll(r); err != nil || int64(len(b)) != size || !bytes.Equal(b, p.stream) {
		t.Errorf("the assembled stream is not the leader's (%d bytes of %d, %v)", len(b), len(p.stream), err)
	}
	sink := p.sink(t)
	if _, err := sink.Write(transfer.Ticket()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sink.Close(), transfer.Close()); err != nil {
		t.Fatal(err)
	}
	id := sink.ID()
	c, err := p.follower.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	compare(t, c, p.model)
	metas, _ := p.follower.List()
	if names, _ := p.follower.fs.List("/follower"); len(names) != len(metas) {
		t.Errorf("left behind: %v", names)
	}
}

// TestTransferSendsWhatIsMissing counts bytes.
func TestTransferSendsWhatIsMissing(t *testing.T) {
	for seed := range uint64(30) {
		wiped := seed%3 == 0
		p := newTransferPair(t, seed, wiped)
		transfer := p.begin(t)
		delta, r := deltaFor(t, p.newest, transfer)
		if r.Pages != p.missing {
			t.Errorf("seed %d: %d pages sent, %d are missing", seed, r.Pages, p.missing)
		}
		limit := p.missing*PageSize*110/100 + 256<<10
		if wiped {
			limit = p.missing*PageSize*102/100 + 256<<10
		}
		t.Logf("seed %d, wiped %v: %d pages missing, %.3f of their bytes sent", seed, wiped, p.missing, float64(r.Bytes)/float64(p.missing*PageSize))
		if r.Bytes > limit {
			t.Errorf("seed %d: %d bytes sent for %d pages, at most %d are promised", seed, r.Bytes, p.missing, limit)
		}
		p.finish(t, transfer, delta)
	}
}

// TestTransferResumes cuts transfers, restarts the store, and counts what is sent again.
func TestTransferResumes(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 12))
		p := newTransferPair(t, seed, seed%2 == 0)
		sent := uint64(0)
		for range 1 + rng.IntN(4) {
			transfer := p.begin(t)
			delta, _ := deltaFor(t, p.newest, transfer)
			cut := rng.IntN(len(delta))
			var got Progress
			err := transfer.Receive(bytes.NewReader(delta[:cut]), admitAll, func(q Progress) { got = q })
			var fault *StreamFault
			if !errors.As(err, &fault) {
				t.Fatalf("seed %d: cut at %d: %v", seed, cut, err)
			}
			sent += got.Pages
			if err := transfer.Close(); err != nil {
				t.Fatal(err)
			}
			p.follower = openTestStore(t, p.follower.config)
		}
		transfer := p.begin(t)
		delta, r := deltaFor(t, p.newest, transfer)
		// A page is reported with the next piece read, so the last one of each attempt may be kept without being counted.
		if sent+r.Pages > p.missing || sent+r.Pages+4 < p.missing {
			t.Errorf("seed %d: %d pages kept, %d sent at last, %d were missing", seed, sent, r.Pages, p.missing)
		}
		p.finish(t, transfer, delta)
	}
}

// TestBadDeltas: whatever comes, an assembled checkpoint is the announced one, and the next honest attempt succeeds.
func TestBadDeltas(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 13))
		p := newTransferPair(t, seed%4, seed%2 == 0)
		transfer := p.begin(t)
		delta, _ := deltaFor(t, p.newest, transfer)
		bad := bytes.Clone(delta)
		switch rng.IntN(3) {
		case 0:
			bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		case 1:
			n := rng.IntN(len(bad) - 100)
			_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(bad[n : n+1+rng.IntN(99)])
		default:
			n := rng.IntN(len(bad))
			bad = append(bad[:n:n], bad[n+rng.IntN(len(bad)-n):]...)
		}
		err := transfer.Receive(bytes.NewReader(bad), admitAll, nil)
		var fault *StreamFault
		// The announced length is for people; nothing else may be wrong unnoticed.
		if err == nil && !bytes.Equal(append(bytes.Clone(bad[:8]), bad[16:]...), append(bytes.Clone(delta[:8]), delta[16:]...)) {
			t.Fatalf("seed %d: accepted", seed)
		}
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := transfer.Close(); err != nil {
			t.Fatal(err)
		}
		transfer = p.begin(t)
		delta, _ = deltaFor(t, p.newest, transfer)
		p.finish(t, transfer, delta)
	}
}

// TestForgedDelta: a sender that is consistent in itself still cannot make another state of what was announced.
func TestForgedDelta(t *testing.T) {
	p := newTransferPair(t, 3, true)
	for name, forge := range map[string]func(b, memory []byte){
		"table":              func(b, memory []byte) { b[len(b)-len(memory)-1] ^= 1 },
		"length of an index": func(_, memory []byte) { binary.LittleEndian.PutUint64(memory, 1<<31) },
		"page and its hash": func(_, memory []byte) {
			index := memory[8 : 8+binary.LittleEndian.Uint64(memory)]
			page := memory[8+len(index):][:PageSize]
			page[0] ^= 1
			hash := testHashing().Page(page)
			ranges := binary.LittleEndian.Uint64(index[len(index)-8:])
			copy(index[ranges*rangeBytes:], hash[:])
		},
	} {
		transfer := p.begin(t)
		delta, _ := deltaFor(t, p.newest, transfer)
		manifest := int(binary.LittleEndian.Uint32(delta[16:]))
		forge(delta, delta[deltaHeadBytes+manifest+len(p.newest.Table):])
		err := transfer.Receive(bytes.NewReader(delta), admitAll, nil)
		var fault *StreamFault
		if !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
		if err := transfer.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdmitDecides(t *testing.T) {
	p := newTransferPair(t, 1, true)
	transfer := p.begin(t)
	defer transfer.Close()
	delta, _ := deltaFor(t, p.newest, transfer)
	no := errors.New("not the root that the round attested")
	if err := transfer.Receive(bytes.NewReader(delta), func(*Manifest) error { return no }, nil); !errors.Is(err, no) {
		t.Error(err)
	}
	if metas, err := p.follower.List(); err != nil || len(metas) != 0 {
		t.Errorf("published %v, %v", metas, err)
	}
}

// TestDamagedLog: a record that does not prove itself ends the log, and is sent again.
func TestDamagedLog(t *testing.T) {
	p := newTransferPair(t, 2, true)
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	receiveCut(t, transfer, delta[:len(delta)-10])
	log := p.follower.fs.(*memFS).find("/follower/" + logName(2, 0))
	log.data[len(log.data)/2+200] ^= 1 // within the contents of a page
	transfer = p.begin(t)
	delta, r := deltaFor(t, p.newest, transfer)
	if r.Pages < p.missing/3 || r.Pages > p.missing*2/3 {
		t.Errorf("%d of %d pages sent again", r.Pages, p.missing)
	}
	p.finish(t, transfer, delta)
}

// FuzzHave: a description that decodes is the only encoding of what it says.
func FuzzHave(f *testing.F) {
	p := newTransferPair(f, 1, false)
	transfer := p.begin(f)
	had, err := transfer.Have(1 << 20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(had.Encode())
	f.Add([]byte(haveMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHave(b)
		if err != nil {
			return
		}
		if again := h.Encode(); !bytes.Equal(again, b) || int64(len(again)) != h.bytes() {
			t.Errorf("two encodings of one description, %d and %d bytes, %d announced", len(b), len(again), h.bytes())
		}
	})
}

// FuzzPageLog: whatever lies in the folder, the log yields only pages that have their hash.
func FuzzPageLog(f *testing.F) {
	mem := newMemFS()
	_ = mem.Mkdir("/s")
	config := Config{Dir: "/s", Hashing: testHashing()}
	l, err := openPageLog(mem, config)
	if err != nil {
		f.Fatal(err)
	}
	l.index = 2
	for page, p := range smallModel().memories["canister-1"].all() {
		if err := l.add("canister-1", page, p); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(mem.find("/s/" + logName(2, 0)).data)
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := newMemFS()
		_ = mem.Mkdir("/s")
		g, _ := mem.Create("/s/" + logName(2, 0))
		_, _ = g.WriteAt(b, 0)
		l, err := openPageLog(mem, config)
		if err != nil {
			t.Fatal(err)
		}
		for name := range l.memories {
			for page := range l.memories[name] {
				if p, err := l.read(name, page); err != nil || testHashing().Page(p.Bytes) != p.Hash {
					t.Errorf("%s page %d: %v", name, page, err)
				}
			}
			if _, fault := decodePageIndex(l.indexOf(name).encode()); fault != nil {
				t.Error(fault)
			}
		}
	})
}
