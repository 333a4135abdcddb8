//go:build cgo

package memstore

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sampler records the addresses of one thread's page faults: a software perf event with period 1 whose samples the
// kernel writes into a ring that is mapped here. It sees faults from user mode; that is what an unprivileged process may
// ask for at the default kernel.perf_event_paranoid of 2. perf_event_open(2).
type sampler struct {
	// mu is never contended: the thread serialises. It shows the race detector that one goroutine came after another.
	mu      sync.Mutex
	fd      int
	ring    []byte // control page, then samplerPages of data
	control *unix.PerfEventMmapPage
	on      bool
	tail    uint64
}

const (
	samplerPages = 16
	sampleBytes  = 16                                            // header, address
	recordSample = 9                                             // PERF_RECORD_SAMPLE
	samplerMost  = 3 * samplerPages * PageSize / sampleBytes / 4 // faults of a message that fit in with room to spare
)

// samplers by thread. A thread's sampler lives as long as the process: threads that run guests are few and long-lived.
var samplers struct {
	sync.Mutex
	byThread map[int]*sampler // nil where the kernel refused
}

// threadSampler is the calling thread's sampler, or nil where there can be none. The goroutine must be locked to it.
func threadSampler() *sampler {
	id := unix.Gettid()
	samplers.Lock()
	defer samplers.Unlock()
	s, known := samplers.byThread[id]
	if !known {
		if samplers.byThread == nil {
			samplers.byThread = make(map[int]*sampler)
		}
		s = openSampler()
		samplers.byThread[id] = s
	}
	return s
}

// openSampler starts with the event off. A refusal is no error: the tracker has a second way.
func openSampler() *sampler {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE,
		// Of the fault events this one counts exactly what getrusage counts: completed faults, each once.
		Config:      unix.PERF_COUNT_SW_PAGE_FAULTS_MIN,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample:      1,
		Sample_type: unix.PERF_SAMPLE_ADDR,
		Bits:        unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
		Wakeup:      1 << 30,
	}
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil
	}
	ring, err := unix.Mmap(fd, 0, (1+samplerPages)*PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return nil
	}
	return &sampler{fd: fd, ring: ring, control: (*unix.PerfEventMmapPage)(unsafe.Pointer(unsafe.SliceData(ring)))}
}

func (s *sampler) close() {
	_ = unix.Munmap(s.ring)
	_ = unix.Close(s.fd)
}

// turn switches recording. Costs a system call when it changes anything.
func (s *sampler) turn(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on == on {
		return
	}
	request := uintptr(unix.PERF_EVENT_IOC_DISABLE)
	if on {
		request = unix.PERF_EVENT_IOC_ENABLE
	}
	if _, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.fd), request, 0); e == 0 {
		s.on = on
	}
}

// start forgets what was recorded before.
func (s *sampler) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = atomic.LoadUint64(&s.control.Data_head)
	atomic.StoreUint64(&s.control.Data_tail, s.tail)
}

// read appends the addresses recorded since start; ok is false if the ring has anything else in it, such as a note that
// samples were lost.
func (s *sampler) read(addrs []uintptr) (_ []uintptr, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := atomic.LoadUint64(&s.control.Data_head)
	data := s.ring[PageSize:]
	for ; s.tail < head; s.tail += sampleBytes {
		at := s.tail % uint64(len(data)) // records are multiples of 8 bytes; after a lost-samples record they wrap round
		kind := *(*uint32)(unsafe.Pointer(&data[at]))
		size := *(*uint16)(unsafe.Pointer(&data[at+6]))
		if kind != recordSample || size != sampleBytes {
			return addrs, false
		}
		addrs = append(addrs, uintptr(*(*uint64)(unsafe.Pointer(&data[(at+8)%uint64(len(data))]))))
	}
	return addrs, true
}
