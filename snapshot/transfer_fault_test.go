package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// smallPair is a transferPair of few pages, with a transfer that was cut and has kept pages.
func smallPair(t testing.TB, wiped bool) *transferPair {
	t.Helper()
	leader := openTestStore(t, Config{FS: newMemFS(), Dir: "/leader"})
	p := &transferPair{follower: openTestStore(t, Config{FS: &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}, Dir: "/follower"}), model: newModel()}
	p.model.table = []byte("a table")
	for page := range uint64(12) {
		p.model.memory("a", 16).set(page, page+1)
	}
	if !wiped {
		write(t, p.follower, 1, p.model)
	}
	for page := range uint64(8) {
		p.model.memories["a"].set(page, page+100)
	}
	p.model.memory("b", 16).set(3, 300)
	p.model.round++
	var err error
	if p.newest, err = leader.OpenCheckpoint(write(t, leader, 2, p.model)); err != nil {
		t.Fatal(err)
	}
	_, stream, err := leader.Open(p.newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(stream); err != nil {
		t.Fatal(err)
	}
	p.stream = b.Bytes()
	for _, part := range []int{3, 2} { // two attempts, two files
		transfer := p.begin(t)
		delta, _ := deltaFor(t, p.newest, transfer)
		receiveCut(t, transfer, delta[:len(delta)-part*PageSize])
	}
	return p
}

// attempt receives once and publishes. An error is one of the disk or of what lies on it.
func (p *transferPair) attempt(t testing.TB) error {
	transfer, err := p.follower.BeginTransfer()
	if err != nil {
		return err
	}
	delta, _ := deltaFor(t, p.newest, transfer)
	err = transfer.Receive(bytes.NewReader(delta), admitAll, func(Progress) {})
	if err == nil {
		c := p.newest
		sink, cerr := p.follower.Create(1, c.Index, c.Term, c.Configuration, c.ConfigurationIndex, nil)
		if err = cerr; err == nil {
			_, err = sink.Write(transfer.Ticket())
			err = errors.Join(err, sink.Close())
		}
	}
	return errors.Join(err, transfer.Close())
}

// arrived checks that the follower has the leader's checkpoint.
func (p *transferPair) arrived(t testing.TB, what string) {
	t.Helper()
	metas, err := p.follower.List()
	if err != nil || len(metas) == 0 || metas[0].Index != p.newest.Index {
		t.Fatalf("%s: List is %v, %v", what, metas, err)
	}
	c, err := p.follower.OpenCheckpoint(metas[0].ID)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer c.Close()
	if err := difference(c, p.model); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := verifyFolder(p.follower.fs, c.Dir); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// TestTransferOnAFullDisk takes the room away at every operation in turn: nothing is published that is not whole, what was here
// stays, and with room again the next attempt succeeds, in the same process and in another one.
func TestTransferOnAFullDisk(t *testing.T) {
	for _, wiped := range []bool{true, false} {
		for _, restart := range []bool{true, false} {
			n := 0
			for ; ; n++ {
				p := smallPair(t, wiped)
				mem, count := p.follower.fs.(*memFS), 0
				mem.refuse = func(op, _ string) error {
					if op == "open" || op == "remove" || op == "rename" { // need no room
						return nil
					}
					if count++; count > n {
						return syscall.ENOSPC
					}
					return nil
				}
				err := p.attempt(t)
				mem.refuse = nil
				if err == nil {
					p.arrived(t, "with room enough")
					break
				}
				what := fmt.Sprintf("wiped %v, restart %v, without room from operation %d on", wiped, restart, n)
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("%s: %v", what, err)
				}
				if restart {
					p.follower = openTestStore(t, p.follower.config)
				}
				metas, lerr := p.follower.List()
				if lerr != nil || !wiped && len(metas) == 0 {
					t.Fatalf("%s: the older checkpoint is gone: %v, %v", what, metas, lerr)
				}
				if len(metas) > 0 && metas[0].Index == p.newest.Index { // published, and only what comes after it failed
					p.arrived(t, what)
					continue
				}
				if err := p.attempt(t); err != nil {
					t.Fatalf("%s: then with room: %v", what, err)
				}
				p.arrived(t, what)
				if names, _ := mem.List("/follower"); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, logPrefix) }) {
					t.Fatalf("%s: pages are still kept: %v", what, names)
				}
			}
			if n < 15 {
				t.Errorf("a transfer took only %d operations", n)
			}
		}
	}
}

// TestDamageUnderATransfer damages anything on the follower's disk between two attempts, or in the middle of one: the checkpoint
// that it began to build on, kept pages, their files' names. It is found before it is part of a checkpoint, and it costs attempts
// in a bounded number, never the transfer.
func TestDamageUnderATransfer(t *testing.T) {
	for _, wiped := range []bool{true, false} {
		p := smallPair(t, wiped)
		mem := p.follower.fs.(*memFS)
		image := mem.find("/follower").clone(map[*inode]*inode{})
		for seed := range uint64(700) {
			rng := rand.New(rand.NewPCG(seed, 21))
			mem.root.names["follower"] = image.clone(map[*inode]*inode{})
			p.follower = openTestStore(t, p.follower.config)
			what := fmt.Sprintf("wiped %v, seed %d", wiped, seed)
			if rng.IntN(3) == 0 {
				what += " in the middle: " + p.damageInTheMiddle(t, rng)
			} else {
				what += ": " + damageFollower(rng, mem)
			}
			attempts := 1
			for err := p.attempt(t); err != nil; err = p.attempt(t) {
				if attempts++; attempts > 3 {
					t.Fatalf("%s: after %d attempts: %v", what, attempts, err)
				}
			}
			p.arrived(t, what)
		}
	}
}

// damageInTheMiddle makes an attempt under which the disk is damaged when it has begun.
func (p *transferPair) damageInTheMiddle(t *testing.T, rng *rand.Rand) string {
	t.Helper()
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	what := damageFollower(rng, p.follower.fs.(*memFS))
	if err := transfer.Receive(bytes.NewReader(delta), admitAll, nil); err == nil {
		if err := difference(transfer.result, p.model); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if err := transfer.Close(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return what
}

// damageFollower damages the kept pages or a checkpoint.
func damageFollower(rng *rand.Rand, mem *memFS) string {
	dir := mem.find("/follower")
	var kept, folders []string
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		if dir.names[name].names == nil {
			kept = append(kept, name)
		} else {
			folders = append(folders, name)
		}
	}
	if len(folders) > 0 && rng.IntN(3) == 0 {
		folder := dir.names[folders[rng.IntN(len(folders))]]
		return "checkpoint: " + damage(rng, folder, files(folder))
	}
	logs := &inode{names: map[string]*inode{}}
	for _, name := range kept {
		logs.names[name] = dir.names[name]
		delete(dir.names, name)
	}
	what := damage(rng, logs, files(logs))
	maps.Copy(dir.names, logs.names)
	return "kept pages: " + what
}

// clone copies what is below, files with several names once.
func (n *inode) clone(of map[*inode]*inode) *inode {
	if of[n] != nil {
		return of[n]
	}
	c := &inode{data: bytes.Clone(n.data)}
	of[n] = c
	if n.names != nil {
		c.names = map[string]*inode{}
		for name, below := range n.names {
			c.names[name] = below.clone(of)
		}
	}
	return c
}

// TestEveryBitOfKeptPages flips each byte's bits in turn in the files of an unfinished transfer: what the log then claims to have is
// what was sent, and nothing else.
func TestEveryBitOfKeptPages(t *testing.T) {
	p := smallPair(t, true)
	mem := p.follower.fs.(*memFS)
	for name, f := range mem.find("/follower").names {
		if _, ok := parseLogName(name); !ok {
			t.Fatal(name)
		}
		for bit := 0; bit < 8*len(f.data); bit += 37 { // heads and contents at every place in time
			f.data[bit/8] ^= 1 << (bit % 8)
			log, err := openPageLog(mem, p.follower.config)
			if err != nil {
				t.Fatal(err)
			}
			// A flipped bit in a name or a number makes a record of another page: one that is not asked for, or whose hash is not what
			// the leader's index says. What counts is that contents and hash belong together.
			for memory, pages := range log.memories {
				for page, at := range pages {
					got, err := log.read(memory, page)
					if err != nil || testHashing().Page(got.Bytes) != at.hash {
						t.Fatalf("bit %d of %s: page %d of %q is not what its hash says (%v)", bit, name, page, memory, err)
					}
				}
			}
			if err := log.close(); err != nil {
				t.Fatal(err)
			}
			f.data[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestEveryBitOfATicket: a ticket with any bit changed stands for nothing.
func TestEveryBitOfATicket(t *testing.T) {
	p := smallPair(t, true)
	transfer := p.begin(t)
	delta, _ := deltaFor(t, p.newest, transfer)
	if err := transfer.Receive(bytes.NewReader(delta), admitAll, nil); err != nil {
		t.Fatal(err)
	}
	ticket := transfer.Ticket()
	for bit := range 8 * len(ticket) {
		ticket[bit/8] ^= 1 << (bit % 8)
		sink := p.sink(t)
		_, err := sink.Write(ticket)
		if cerr := sink.Close(); err == nil || cerr == nil {
			t.Errorf("bit %d: taken: %v, %v", bit, err, cerr)
		}
		ticket[bit/8] ^= 1 << (bit % 8)
	}
	sink := p.sink(t)
	if _, err := sink.Write(ticket); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sink.Close(), transfer.Close()); err != nil {
		t.Fatal(err)
	}
	p.arrived(t, "with the ticket as it was given")
}
