package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/memstore"
)

// A machine that is itself a guest gives free memory back to its host after about two seconds. To get it again then takes
// ten times what a first touch takes otherwise, in whichever tracker's message it happens. So that chance has no part in
// it, memory is touched and freed again before it is needed, for all subjects alike. The garbage collector is run at the same
// time and at no other: its threads on other processors would have to be told of every page that a message protects or
// copies, which takes ten times what the rest does. What such a thread costs is a figure of its own.
const (
	heatEvery = time.Second
	heatBytes = 1 << 30
)

// heat makes the kernel have free memory that its host backs, and collects garbage. It is called between messages and
// mostly does nothing.
func (b *run) heat() {
	if time.Since(b.heated) < heatEvery {
		return
	}
	_, _ = touch(int(min(heatBytes, availableMemory()/4)))
	settleHeap()
	b.heated = time.Now()
}

// touch is what it takes to write to memory that the process did not have before, in huge pages.
func touch(length int) (time.Duration, error) {
	b, err := unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return 0, fmt.Errorf("mmap: %w", err)
	}
	defer unix.Munmap(b)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	s, _ := measure(func() error {
		for i := 0; i < len(b); i += memstore.PageSize {
			b[i] = 1
		}
		return nil
	})
	return s.CPU, nil
}
