//go:build cgo

package memstore

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// copying is the tracker that protects nothing: a page of a private file mapping that became anonymous was written, since
// the kernel copies it at the first write. Pages stay anonymous, so everything written since the mapping was made is
// compared after every message; when that costs more than it finds, the written chunks are moved to an image file and
// mapped from there, clean. No privilege, no signal handler, no userfaultfd.
type copying struct {
	m      *Memory
	image  *os.File // the moved chunks, at their places; nil before the first
	moved  bitset   // chunks mapped from the image
	wasted int      // pages compared in vain since the last move
	least  int      // pages that are too few to bother
}

func newCopying(m *Memory) Mechanism { return &copying{m: m, least: 2048} }

// A move costs about as much as movePrice comparisons a page.
const movePrice = 8

func (t *copying) Attach() error {
	t.moved = newBitset(int(t.m.reserved+chunkPages-1) / chunkPages)
	if t.m.tracked == 0 {
		return nil
	}
	return t.m.lay()
}

func (t *copying) begin() error { return nil }

func (t *copying) Collect(runs []PageRun) ([]PageRun, error) {
	t.m.stats.FullScans++
	return t.m.private(runs)
}

// private appends the tracked pages that are the memory's own: all written ones are among them.
func (m *Memory) private(runs []PageRun) ([]PageRun, error) {
	all := PageRun{0, uint32(m.tracked)}
	found, err := m.scan(runs, all, queryPrivate)
	if missing(err) {
		const present, swapped, file = 1 << 63, 1 << 62, 1 << 61
		return m.readPagemap(runs, all, func(e uint64) bool { return e&(present|swapped) != 0 && e&file == 0 })
	}
	return found, err
}

func (t *copying) committed(changed []PageIndex, _ PageCount) error {
	n := countPages(t.m.runs)
	t.wasted += n - len(changed)
	if n < t.least || t.wasted < movePrice*n {
		return nil
	}
	t.wasted = 0
	return t.move(t.m.runs)
}

// move writes the chunks of runs to the image and maps them from it. The memory holds the version's bytes.
func (t *copying) move(runs []PageRun) error {
	if t.image == nil {
		fd, err := unix.MemfdCreate("lockstep-image", unix.MFD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("memory image: %w", err)
		}
		t.image = os.NewFile(uintptr(fd), "memory image")
		if err := t.image.Truncate(int64(t.m.reserved.Bytes())); err != nil {
			return fmt.Errorf("memory image: %w", err)
		}
	}
	var chunks []PageRun
	for _, r := range runs {
		first, last := r.Start>>chunkShift, (r.End-1)>>chunkShift
		for c := first; c <= last; c++ {
			part := PageRun{max(r.Start, c<<chunkShift), min(r.End, (c+1)<<chunkShift)}
			if !t.moved.has(c) { // the image needs the pages that were not written, too
				part = PageRun{c << chunkShift, min((c+1)<<chunkShift, uint32(t.m.tracked))}
				t.moved.set(c)
			}
			if err := t.write(part); err != nil {
				return err
			}
		}
		chunks = appendRun(chunks, first<<chunkShift, min((last+1)<<chunkShift, uint32(t.m.tracked)))
	}
	for _, c := range chunks {
		t.m.stats.Syscalls++
		length, at := uintptr(c.pages())<<pageShift, int64(c.Start)<<pageShift
		if err := mmapFixed(t.m.addr(c.Start), length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE, int(t.image.Fd()), at); err != nil {
			return err
		}
	}
	return nil
}

// write copies pages to the image; what is zero there already stays a hole.
func (t *copying) write(r PageRun) error {
	b := t.m.mem[uint64(r.Start)<<pageShift : uint64(r.End)<<pageShift]
	t.m.stats.Syscalls++
	if _, err := t.image.WriteAt(b, int64(r.Start)<<pageShift); err != nil {
		return fmt.Errorf("memory image: %w", err)
	}
	return nil
}

func (t *copying) Rollback() error {
	t.m.stats.FullScans++
	runs, err := t.m.private(t.m.runs[:0])
	if err != nil {
		return err
	}
	t.m.runs = runs
	for _, r := range runs {
		for i := r.Start; i < r.End; i++ {
			t.m.put(i)
		}
	}
	return nil
}

func (t *copying) advance(pages []PageIndex) error {
	for _, i := range pages {
		t.m.put(uint32(i))
	}
	return nil
}

func (t *copying) abandon() {}

func (t *copying) detach() error {
	if t.image == nil {
		return nil
	}
	return t.image.Close()
}
