package node

import (
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// pages is a memory for tests: its pages that are not zero.
type pages map[uint64][]byte

// newPages fills n pages, two of three, with bytes that do not compress.
func newPages(n int, seed uint64) pages {
	p := pages{}
	for i := range uint64(n) {
		p.set(i+i/2, seed)
	}
	return p
}

func (p pages) set(page, seed uint64) {
	b := make([]byte, snapshot.PageSize)
	key := sha256.Sum256([]byte{byte(page), byte(page >> 8), byte(page >> 16), byte(seed), byte(seed >> 8)})
	_, _ = rand.NewChaCha8(key).Read(b)
	p[page] = b
}

func (p pages) clone() pages { return maps.Clone(p) }

// HashValue implements pagetrie.Hasher with page numbers as handles.
func (p pages) HashValue(v pagetrie.Value) pagetrie.Hash { return hashPage(p[uint64(v)]) }

func hashPage(b []byte) pagetrie.Hash { return pagetrie.Hash(sha256.Sum256(b)) }

func (p pages) state(round uint64) snapshot.State {
	edit := pagetrie.Map{}.Edit()
	size := uint64(0)
	for page := range p {
		edit.Insert(page, pagetrie.Value(page))
		size = max(size, page+1)
	}
	root := edit.Map().Root(p)
	all := func(yield func(uint64, snapshot.Page) bool) {
		for _, page := range slices.Sorted(maps.Keys(p)) {
			if !yield(page, snapshot.Page{Hash: hashPage(p[page]), Bytes: p[page]}) {
				return
			}
		}
	}
	return snapshot.State{Round: round, Root: root, Table: []byte("table"),
		Memories: []snapshot.Memory{{Name: "m", Size: size, Root: root, Pages: all}}}
}

var testConfiguration = raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}, {ID: "n3", Address: "n3"}}}

// syncEnd is a replica that is no more than its checkpoints, its transport on TCP, and a raft that installs what it is sent.
type syncEnd struct {
	beaten
	t         testing.TB
	id, dir   string
	addr      string
	log       *lines
	cfg       Config
	fs        snapshot.FS // nil is the system's
	store     *snapshot.Store
	transport *transport
	term      atomic.Uint64
	applied   atomic.Uint64
	raft      sync.WaitGroup
	quit      chan struct{}
	// refuse makes its raft refuse checkpoints.
	refuse error
}

// CurrentTerm and AppliedIndex implement replicaLog.
func (e *syncEnd) CurrentTerm() uint64  { return e.term.Load() }
func (e *syncEnd) AppliedIndex() uint64 { return e.applied.Load() }

// newSyncEnd makes a replica; routes says where it reaches others.
func newSyncEnd(t testing.TB, id string, routes ...Peer) *syncEnd {
	e := &syncEnd{t: t, id: id, dir: filepath.Join(t.TempDir(), id), log: &lines{}}
	e.cfg = Config{ID: id, ClusterID: "test", Peers: append([]Peer{{ID: "n1"}, {ID: "n2"}, {ID: "n3"}}, routes...), PeerTimeout: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(e.log, nil))}
	e.term.Store(3)
	e.open("127.0.0.1:0")
	t.Cleanup(func() {
		e.close()
		if t.Failed() {
			t.Log(id, e.log.String())
		}
	})
	return e
}

func (e *syncEnd) open(addr string) {
	e.t.Helper()
	var err error
	if e.store, err = snapshot.OpenStore(snapshot.Config{Dir: e.dir, Hashing: snapshot.Hashing{Page: hashPage}, Merge: snapshot.MergeWhenAsked,
		VerifyOnOpen: snapshot.VerifyIndexes, MaxBytes: 1 << 30, FS: e.fs}); err != nil {
		e.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.addr = listener.Addr().String()
	guard := &installGuard{logger: e.cfg.Logger, log: raft.NewInmemStore(), onInstalled: func(index, _ uint64) error {
		e.applied.Store(index)
		return nil
	}, onConflict: func(*conflict) {}}
	guard.attach(e)
	e.transport = newTransport(newTCPNetwork(&e.cfg, listener), guard, nil, &stateSync{logger: e.cfg.Logger, timeout: e.cfg.PeerTimeout,
		checkpoints: e.store, transfers: newMetrics(e.id, e.cfg.Logger).transfers})
	e.quit = make(chan struct{})
	e.raft.Go(e.install)
}

// install is what raft does with a checkpoint.
func (e *syncEnd) install() {
	for {
		select {
		case rpc := <-e.transport.Consumer():
			req := rpc.Command.(*raft.InstallSnapshotRequest)
			err := e.refuse
			if err == nil {
				err = e.write(rpc, req)
			}
			_, _ = io.Copy(io.Discard, rpc.Reader)
			rpc.Respond(&raft.InstallSnapshotResponse{Term: e.term.Load(), Success: err == nil}, err)
		case <-e.quit:
			return
		}
	}
}

func (e *syncEnd) write(rpc raft.RPC, req *raft.InstallSnapshotRequest) error {
	sink, err := e.store.Create(raft.SnapshotVersionMax, req.LastLogIndex, req.LastLogTerm, raft.DecodeConfiguration(req.Configuration),
		req.ConfigurationIndex, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(sink, rpc.Reader)
	if err == nil && n != req.Size {
		err = errors.New("short read")
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (e *syncEnd) close() {
	e.t.Helper()
	if e.store == nil {
		return
	}
	close(e.quit)
	if err := e.transport.Close(); err != nil {
		e.t.Error(err)
	}
	e.raft.Wait()
	if err := e.store.Close(); err != nil {
		e.t.Error(err)
	}
	e.store = nil
}

// restart ends the process and begins another one.
func (e *syncEnd) restart() {
	e.t.Helper()
	e.close()
	e.open(e.addr)
}

// checkpoint writes a state as the checkpoint of an index.
func (e *syncEnd) checkpoint(index uint64, p pages) {
	e.t.Helper()
	sink, err := e.store.Create(raft.SnapshotVersionMax, index, 2, testConfiguration, 1, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := errors.Join(sink.(*snapshot.Sink).WriteState(p.state(index)), sink.Close()); err != nil {
		e.t.Fatal(err)
	}
	e.applied.Store(index)
}

// send sends the newest checkpoint as raft does.
func (e *syncEnd) send(to string) (raft.InstallSnapshotResponse, error) {
	e.t.Helper()
	metas, err := e.store.List()
	if err != nil || len(metas) == 0 {
		e.t.Fatal(metas, err)
	}
	meta, reader, err := e.store.Open(metas[0].ID)
	if err != nil {
		e.t.Fatal(err)
	}
	defer reader.Close()
	var resp raft.InstallSnapshotResponse
	err = e.transport.InstallSnapshot(raft.ServerID(to), raft.ServerAddress(to), &raft.InstallSnapshotRequest{Term: e.term.Load(),
		LastLogIndex: meta.Index, LastLogTerm: meta.Term, Size: meta.Size, Configuration: raft.EncodeConfiguration(meta.Configuration),
		ConfigurationIndex: meta.ConfigurationIndex}, &resp, reader)
	return resp, err
}

// mustSend is send that succeeds.
func (e *syncEnd) mustSend(to string) {
	e.t.Helper()
	if resp, err := e.send(to); err != nil || !resp.Success {
		e.t.Fatalf("send: %+v, %v", resp, err)
	}
}

// settle waits until it has taken what has arrived and nothing more is coming.
func (e *syncEnd) settle() {
	for s := e.transport.sync; ; time.Sleep(time.Millisecond) { // the test's deadline is the limit
		s.mu.Lock()
		n := len(s.conns)
		s.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// last is the newest transfer.
func (e *syncEnd) last() TransferReport {
	e.t.Helper()
	all := e.transport.sync.transfers.reports()
	if len(all) == 0 {
		e.t.Fatal("no transfer")
	}
	return all[len(all)-1]
}

// stream is what a follower with nothing would be sent by raft itself.
func (e *syncEnd) stream() []byte {
	e.t.Helper()
	metas, err := e.store.List()
	if err != nil || len(metas) == 0 {
		e.t.Fatal(metas, err)
	}
	_, r, err := e.store.Open(metas[0].ID)
	if err != nil {
		e.t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		e.t.Fatal(err)
	}
	return b
}

// leftovers are the names in the store's folder that are no checkpoints.
func (e *syncEnd) leftovers() (names []string) {
	e.t.Helper()
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, entry := range entries {
		if match, _ := filepath.Match("checkpoint-*", entry.Name()); !match {
			names = append(names, entry.Name())
		}
	}
	return names
}

// wire is a link that counts bytes, and cuts or damages connections.
type wire struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup
	// forth and back count the bytes from and to who dials.
	forth, back atomic.Int64
	// cutAt ends the connection after so many bytes forth in it; 0: never. flipAt flips a bit of the byte there.
	cutAt, flipAt atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, conns: map[net.Conn]bool{}}
	w.running.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		for c := range w.conns {
			_ = c.Close()
		}
		w.mu.Unlock()
		w.running.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		w.mu.Lock()
		w.conns[in], w.conns[out] = true, true
		w.mu.Unlock()
		w.running.Go(func() { w.pass(in, out, &w.forth, w.cutAt.Load(), w.flipAt.Load()) })
		w.running.Go(func() { w.pass(out, in, &w.back, 0, 0) })
	}
}

func (w *wire) pass(from, to net.Conn, count *atomic.Int64, cut, flip int64) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 16<<10)
	for at := int64(0); ; {
		n, err := from.Read(buf)
		if cut > 0 && at+int64(n) > cut {
			n, err = int(cut-at), io.EOF
		}
		if flip > at && flip <= at+int64(n) {
			buf[flip-at-1] ^= 0x10
		}
		at += int64(n)
		count.Add(int64(n))
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// syncPair is a leader n1 and a follower n2 with a wire between them.
type syncPair struct {
	leader, follower *syncEnd
	wire             *wire
}

func newSyncPair(t *testing.T) *syncPair {
	p := &syncPair{follower: newSyncEnd(t, "n2")}
	p.wire = newWire(t, p.follower.addr)
	p.leader = newSyncEnd(t, "n1", Peer{ID: "n2", Raft: p.wire.addr()})
	return p
}

// same checks that the follower has the leader's newest checkpoint, every byte of it sound, and keeps nothing else.
func (p *syncPair) same(t *testing.T) {
	t.Helper()
	if string(p.leader.stream()) != string(p.follower.stream()) {
		t.Error("the follower's checkpoint is not the leader's")
	}
	metas, err := p.follower.store.List()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Verify(filepath.Join(p.follower.dir, metas[0].ID), snapshot.Hashing{Page: hashPage}); err != nil {
		t.Error(err)
	}
	if left := p.follower.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
