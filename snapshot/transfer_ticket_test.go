package snapshot

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A ticket is good for one sink, of the entry that it stands for, as long as its transfer is open; another is worth nothing.
func TestTickets(t *testing.T) {
	p := newTransferPair(t, 2, true)
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	if err := transfer.Receive(bytes.NewReader(delta), admitAll, nil); err != nil {
		t.Fatal(err)
	}
	refused := func(why string, sink raft.SnapshotSink, ticket []byte) {
		t.Helper()
		if _, err := sink.Write(ticket); err == nil {
			t.Errorf("%s: taken", why)
		}
		if err := sink.Close(); err == nil {
			t.Errorf("%s: published", why)
		}
	}
	refused("another number", p.sink(t), append([]byte(ticketMagic), "12345678"...))
	refused("more behind it", p.sink(t), append(transfer.Ticket(), 0))
	other, err := p.follower.Create(raft.SnapshotVersionMax, p.newest.Index+1, p.newest.Term, p.newest.Configuration, p.newest.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	late := transfer.Ticket()
	if err := transfer.Close(); err != nil {
		t.Fatal(err)
	}
	refused("of a closed transfer", p.sink(t), late)

	transfer = p.begin(t) // nothing of it has to be sent again
	delta, r := deltaFor(t, p.newest, transfer)
	if r.Pages != 0 {
		t.Errorf("%d pages are sent again", r.Pages)
	}
	if err := transfer.Receive(bytes.NewReader(delta), admitAll, nil); err != nil {
		t.Fatal(err)
	}
	refused("of another entry", other, transfer.Ticket())
	if err := transfer.Close(); err != nil {
		t.Fatal(err)
	}
	if metas, err := p.follower.List(); err != nil || len(metas) != 0 {
		t.Errorf("published: %v, %v", metas, err)
	}
	transfer = p.begin(t)
	delta, _ = deltaFor(t, p.newest, transfer)
	p.finish(t, transfer, delta)
}

func TestOneTransferAtATime(t *testing.T) {
	p := newTransferPair(t, 1, true)
	transfer := p.begin(t)
	if _, err := p.follower.BeginTransfer(); err == nil {
		t.Error("two are open")
	}
	if err := transfer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.begin(t).Close(); err != nil {
		t.Error(err)
	}
}

// What is kept of a transfer goes when a checkpoint is there that is as new, and not before.
func TestKeptPagesGoWhenTheyAreOfNoUse(t *testing.T) {
	p := newTransferPair(t, 2, true)
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	receiveCut(t, transfer, delta[:len(delta)-10])
	kept := func() bool {
		names, err := p.follower.fs.List("/follower")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(names, " "), logPrefix)
	}
	write(t, p.follower, p.newest.Index-1, newModel())
	if !kept() {
		t.Error("an older checkpoint removed them")
	}
	write(t, p.follower, p.newest.Index, newModel())
	if kept() {
		t.Error("they are still there")
	}
}

// A peer that takes no long description is told of nothing, and then nothing here is used.
func TestHaveIsBounded(t *testing.T) {
	p := newTransferPair(t, 4, false)
	transfer := p.begin(t)
	whole, err := transfer.Have(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	had, err := transfer.Have(whole.bytes() - 1)
	if err != nil || had.bytes() != int64(len(haveMagic)+4) {
		t.Fatalf("%d bytes, %v", had.bytes(), err)
	}
	var sent bytes.Buffer
	r, err := writeDelta(&sent, p.newest, had, testHashing(), nil)
	if err != nil || r.Known != 0 {
		t.Fatal(r, err)
	}
	p.finish(t, transfer, sent.Bytes())
}

// A checkpoint beyond the bound is refused before anything of it is read.
func TestTransferIsBounded(t *testing.T) {
	p := newTransferPair(t, 4, true)
	p.follower.config.MaxBytes = 100 << 10
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	source := bytes.NewReader(delta)
	err := transfer.Receive(io.LimitReader(source, int64(len(delta))), admitAll, nil)
	if err == nil || !strings.Contains(err.Error(), "at most 102400 are accepted") {
		t.Errorf("too large: %v", err)
	}
	if read := len(delta) - source.Len(); read > 1<<16 {
		t.Errorf("%d bytes were read", read)
	}
	if err := transfer.Close(); err != nil {
		t.Error(err)
	}
}
