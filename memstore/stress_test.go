//go:build cgo

package memstore

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStress runs generated programs under all trackers on many goroutines with the collector running. It lasts a moment;
// LOCKSTEP_STRESS gives it seconds.
func TestStress(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv("LOCKSTEP_STRESS"))
	workers := 100
	if err != nil {
		seconds, workers = 1, 24
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	dir := t.TempDir()
	var seed atomic.Uint64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				n := seed.Add(1)
				name := Trackers()[n%uint64(len(Trackers()))]
				if _, err := conform(dir, name, newSeeded(n, 12), eager); err != nil {
					t.Errorf("seed %d, %s: %v", n, name, err)
				}
				if n%16 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wait.Wait()
	t.Logf("%d programs", seed.Load())
}

// attachPlain gives a memory of zeroes over an engine of its own.
func attachPlain(t *testing.T, name Tracker, pages int) (*engine, *Memory) {
	t.Helper()
	skipUnavailable(t, name)
	s := openStore(t)
	e, err := newEngine(pages*PageSize, pages*PageSize)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Attach(MemoryConfig{Store: s, Tracker: name, Base: addrOf(e.mem), Reserved: uint64(len(e.mem)), Size: uint64(e.size)})
	if err != nil {
		t.Fatal(err)
	}
	eager(m)
	t.Cleanup(func() {
		if err := errors.Join(m.Detach(), e.close()); err != nil {
			t.Error(err)
		}
	})
	return e, m
}

// TestKernelWrites has the kernel write into the memory, as a system call of a host function would: trackers that work by
// the page tables see it. (The signal-driven ones make such a call fail with EFAULT.)
func TestKernelWrites(t *testing.T) {
	for _, name := range []Tracker{TrackerCow, TrackerUffd, TrackerAdaptive, TrackerCompare} {
		t.Run(string(name), func(t *testing.T) {
			e, m := attachPlain(t, name, 128)
			var pipe [2]int
			if err := unix.Pipe(pipe[:]); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pipe[0])
			defer unix.Close(pipe[1])
			for n := range 40 {
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				at := n * 3 % 128
				e.mem[7*PageSize] = byte(n + 1)
				unix.Write(pipe[1], []byte{byte(n + 1)})
				if got, err := unix.Read(pipe[0], e.mem[at*PageSize:at*PageSize+1]); got != 1 {
					t.Fatal(err)
				}
				c, err := m.Commit(128)
				if err != nil {
					t.Fatal(err)
				}
				want := 2
				if at == 7 {
					want = 1
				}
				if len(c.Changed) != want {
					t.Fatalf("message %d: changed %v, want page 7 and page %d", n, c.Changed, at)
				}
			}
		})
	}
}

// TestWritesOfAnotherThread shows that the adaptive tracker notices a guest that does not run where it should.
func TestWritesOfAnotherThread(t *testing.T) {
	e, m := attachPlain(t, TrackerAdaptive, 128)
	for n := range 200 {
		if err := m.Begin(); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			runtime.LockOSThread() // never the thread of Begin, which is locked, too
			defer runtime.UnlockOSThread()
			e.mem[n%128*PageSize] = byte(n + 1)
			close(done)
		}()
		<-done
		if _, err := m.Commit(128); err != nil {
			if !errors.Is(err, errUnaccounted) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("200 messages ran on another thread and nobody noticed")
}

// TestRoundOfMessages undoes one message of a round by going back to the round's start and running the others again.
func TestRoundOfMessages(t *testing.T) {
	for _, name := range Trackers() {
		t.Run(string(name), func(t *testing.T) {
			e, m := attachPlain(t, name, 128)
			write := func(n int) { e.mem[n*PageSize]++ }
			for round := range 6 {
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				write(round)
				write(50)
				write(60) // the message that traps
				if err := m.Rollback(128); err != nil {
					t.Fatal(err)
				}
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				write(round)
				write(50)
				c, err := m.Commit(128)
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Changed) != 2 || c.Changed[0] != PageIndex(round) || c.Changed[1] != 50 || e.mem[60*PageSize] != 0 || int(e.mem[50*PageSize]) != round+1 {
					t.Fatalf("round %d: changed %v", round, c.Changed)
				}
			}
		})
	}
}

// TestAdopt keeps what the engine put into a new memory.
func TestAdopt(t *testing.T) {
	for _, name := range Trackers() {
		t.Run(string(name), func(t *testing.T) {
			skipUnavailable(t, name)
			s := openStore(t)
			e, err := newEngine(WasmPageSize*4, WasmPageSize*2)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close()
			e.mem[3*PageSize] = 1 // a data segment
			m, err := Attach(MemoryConfig{
				Store: s, Tracker: name, Base: addrOf(e.mem), Reserved: uint64(len(e.mem)), Size: uint64(e.size), Adopt: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Detach()
			for n, want := range [][]PageIndex{{3, 4}, {4, 5}} {
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				e.mem[int(want[0])*PageSize+8]++
				e.mem[int(want[1])*PageSize+8]++
				c, err := m.Commit(e.pages())
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Changed) != 2 || c.Changed[0] != want[0] || c.Changed[1] != want[1] || c.Version.Size != 32 {
					t.Fatalf("message %d: changed %v, want %v", n, c.Changed, want)
				}
			}
		})
	}
}

// TestEmptyMemory has no pages at all.
func TestEmptyMemory(t *testing.T) {
	for _, name := range Trackers() {
		t.Run(string(name), func(t *testing.T) {
			skipUnavailable(t, name)
			s := openStore(t)
			e, err := newEngine(WasmPageSize, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close()
			m, err := Attach(MemoryConfig{Store: s, Tracker: name, Base: addrOf(e.mem), Reserved: WasmPageSize})
			if err != nil {
				t.Fatal(err)
			}
			for size := range 2 {
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				if err := e.grow(size * WasmPageSize); err != nil {
					t.Fatal(err)
				}
				c, err := m.Commit(e.pages())
				if err != nil || c.Version.Size != PageCount(size*16) || len(c.Changed) != 0 {
					t.Fatalf("%+v, %v", c, err)
				}
			}
			if err := m.Detach(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
