package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/memstore"
	"lockstep/pagetrie"
)

// Modes that are no trackers.
const (
	untracked memstore.Tracker = "untracked"
	resident  memstore.Tracker = "resident"
	// noPause is adaptive with one message right after the other, so that nothing can be done in between.
	noPause memstore.Tracker = "adaptive, no pauses"
)

// Sample is what one message cost.
type Sample struct {
	CPU, Wall time.Duration // without Save
	Save      time.Duration // copying into the store and the trie
	Compare   time.Duration // part of CPU: comparing candidates by bytes
	Counts    Counts

	Background time.Duration // of the series so far, between messages
	BroughtIn  uint64        // pages, likewise
}

// Counts are exact numbers of one message.
type Counts struct {
	Signals, Syscalls, Copied, Compared, Changed, PageFaults uint64
}

// series is one subject of a measurement.
type series interface {
	// message runs one message and measures it; cold asks for a fresh mapping, whose cost is included.
	message(op string, p Pattern, x int, cold bool) (Sample, error)
	close() error
}

func clock(id int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t)
	return time.Duration(t.Nano())
}

func cpuTime() time.Duration  { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }
func wallTime() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

func pageFaults() uint64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return uint64(u.Minflt + u.Majflt)
}

// measure times f.
func measure(f func() error) (s Sample, err error) {
	faults, wall, cpu := pageFaults(), wallTime(), cpuTime()
	err = f()
	s.CPU, s.Wall = cpuTime()-cpu, wallTime()-wall
	s.Counts.PageFaults = pageFaults() - faults
	return s, err
}

// source is where a memory's contents are when a measurement begins. Each series gets a version of its own, since every
// version has one history.
type source struct {
	Name string
	file *os.File // the contents as a flat file; nil for zeroes
	copy bool     // in the store instead of mapped from the file
}

// version makes the source's version in the store.
func (f source) version(s *memstore.Store, pages memstore.PageCount) (memstore.Version, error) {
	v := memstore.Version{Size: pages}
	if f.file == nil {
		return v, nil
	}
	first, err := s.AddFile(memstore.PageArea{File: f.file, Pages: pages})
	if err != nil {
		return v, err
	}
	b := pagetrie.Map{}.Edit()
	for i := range pagetrie.Value(pages) {
		b.Insert(uint64(i), first+i)
	}
	v.Pages = b.Map()
	if !f.copy {
		return v, nil
	}
	defer s.Drop(v)
	d := pagetrie.Map{}.Edit()
	for i, h := range v.Pages.All() {
		c, err := s.Add(s.Page(h))
		if err != nil {
			return v, err
		}
		d.Insert(i, c)
	}
	return memstore.Version{Size: pages, Pages: d.Map()}, nil
}

// tracked measures a tracker.
type tracked struct {
	rig    *rig
	config memstore.MemoryConfig
	m      *memstore.Memory
	kinds  map[string]uint64
}

func newTracked(w *workshop, s *memstore.Store, name memstore.Tracker, from source, pages memstore.PageCount, query bool) (*tracked, error) {
	v, err := from.version(s, pages)
	if err != nil {
		return nil, err
	}
	r, err := w.rig(pages)
	if err != nil {
		return nil, err
	}
	t := &tracked{rig: r, kinds: map[string]uint64{}, config: memstore.MemoryConfig{
		Store: s, Tracker: name, Base: r.base, Reserved: 4 << 30, Size: pages.Bytes(),
		Version: v, Query: query, Clock: cpuTime,
	}}
	if t.m, err = memstore.Attach(t.config); err != nil {
		r.close()
		return nil, err
	}
	return t, nil
}

func (t *tracked) kind(op string, p Pattern) uint64 {
	k, known := t.kinds[op+p.Name]
	if !known {
		k = uint64(len(t.kinds) + 1)
		t.kinds[op+p.Name] = k
	}
	return k
}

func (t *tracked) message(op string, p Pattern, x int, cold bool) (Sample, error) {
	var before memstore.Stats
	if !cold {
		before = t.m.Stats()
	}
	kind := t.kind(op, p)
	s, err := measure(func() error {
		if cold {
			if err := t.reattach(); err != nil {
				return err
			}
		}
		if err := t.m.BeginKind(kind); err != nil {
			return err
		}
		if err := t.rig.run(op, p, x); err != nil {
			return err
		}
		if t.config.Query {
			return t.m.Rollback(t.rig.pages)
		}
		_, err := t.m.Commit(t.rig.pages)
		return err
	})
	after := t.m.Stats()
	s.Save, s.Compare = after.Save-before.Save, after.Compare-before.Compare
	s.CPU, s.Wall = s.CPU-s.Save, max(s.Wall-s.Save, 0)
	s.Background, s.BroughtIn = after.Background, after.BroughtIn
	s.Counts.Signals = after.Signals - before.Signals
	s.Counts.Syscalls = after.Syscalls - before.Syscalls
	s.Counts.Copied = after.Copied - before.Copied
	s.Counts.Compared = after.Compared - before.Compared
	s.Counts.Changed = after.Changed - before.Changed
	return s, err
}

// reattach lays the memory's version anew, as after a restart.
func (t *tracked) reattach() error {
	if err := t.m.Detach(); err != nil {
		return err
	}
	c := t.config
	c.Like, c.Version = t.m, t.m.Version()
	var err error
	t.m, err = memstore.Attach(c)
	return err
}

func (t *tracked) close() error {
	err := t.m.Detach()
	t.config.Store.Drop(t.m.Version())
	t.rig.close()
	return err
}

// plain measures execution without tracking.
type plain struct {
	rig  *rig
	mode memstore.Tracker
	file *os.File
}

func newPlain(w *workshop, mode memstore.Tracker, from source, pages memstore.PageCount) (*plain, error) {
	r, err := w.rig(pages)
	if err != nil {
		return nil, err
	}
	p := &plain{rig: r, mode: mode, file: from.file}
	if err := p.lay(); err != nil {
		return nil, err
	}
	if mode == resident {
		_, _, e := unix.Syscall(unix.SYS_MADVISE, r.base, uintptr(pages.Bytes()), unix.MADV_POPULATE_WRITE)
		if e != 0 {
			return nil, fmt.Errorf("populate: %w", e)
		}
	}
	return p, nil
}

func (p *plain) lay() error {
	flags, fd := unix.MAP_PRIVATE|unix.MAP_FIXED, -1
	if p.file != nil {
		fd = int(p.file.Fd())
	} else {
		flags |= unix.MAP_ANON | unix.MAP_NORESERVE
	}
	_, _, e := unix.Syscall6(unix.SYS_MMAP, p.rig.base, uintptr(p.rig.pages.Bytes()), unix.PROT_READ|unix.PROT_WRITE,
		uintptr(flags), uintptr(fd), 0)
	if e != 0 {
		return fmt.Errorf("mmap: %w", e)
	}
	return nil
}

func (p *plain) message(op string, pat Pattern, x int, _ bool) (Sample, error) {
	return measure(func() error {
		if p.mode == untracked {
			if err := p.lay(); err != nil {
				return err
			}
		}
		return p.rig.run(op, pat, x)
	})
}

func (p *plain) close() error { p.rig.close(); return nil }

// contentsFile writes a file of pages, none of them zero, and unlinks it.
func contentsFile(dir string, pages memstore.PageCount) (*os.File, error) {
	f, err := os.CreateTemp(dir, "lockstep-bench-*")
	if err != nil {
		return nil, fmt.Errorf("checkpoint file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("checkpoint file: %w", err)
	}
	buf := make([]byte, 4<<20)
	for at := uint64(0); at < pages.Bytes(); at += uint64(len(buf)) {
		for i := 0; i < len(buf); i += 8 {
			buf[i], buf[i+1], buf[i+7] = byte(at>>22)+1, byte(i>>12), byte(i>>3)
		}
		if _, err := f.Write(buf[:min(uint64(len(buf)), pages.Bytes()-at)]); err != nil {
			return nil, fmt.Errorf("checkpoint file: %w", err)
		}
	}
	return f, nil
}

// summary is the median and the quartiles of durations.
func summary(d []time.Duration) (median, low, high time.Duration) {
	if len(d) == 0 {
		return 0, 0, 0
	}
	d = slices.Sorted(slices.Values(d))
	n := len(d)
	return d[n/2], d[n/4], d[n*3/4]
}

// settleHeap keeps the collector out of the samples.
func settleHeap() { runtime.GC() }
