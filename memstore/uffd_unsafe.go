//go:build cgo

package memstore

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// userfaultfd(2), from linux/userfaultfd.h.
const (
	uffdUserModeOnly = 1
	uffdAPI          = 0xaa

	uffdioAPI          = 0xc018aa3f
	uffdioRegister     = 0xc020aa00
	uffdioUnregister   = 0x8010aa01
	uffdioWriteProtect = 0xc018aa06

	uffdRegisterWP     = 1 << 1
	uffdWriteProtectOn = 1 << 0
	uffdFeatureFlagWP  = 1 << 0
	uffdFeatureUnpop   = 1 << 13 // UFFD_FEATURE_WP_UNPOPULATED
	uffdFeatureWPAsync = 1 << 15 // UFFD_FEATURE_WP_ASYNC, Linux 6.7
	uffdFeaturesWanted = uffdFeatureFlagWP | uffdFeatureUnpop | uffdFeatureWPAsync
)

type uffdioArg struct{ a, b, c, d uint64 }

// uffd is the process's one userfaultfd. Write protection through it is asynchronous: the kernel lets the writer go on
// and leaves a mark, so nobody ever reads from the descriptor.
var uffd = sync.OnceValues(func() (uintptr, error) {
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserModeOnly, 0, 0)
	if e != 0 {
		return 0, fmt.Errorf("userfaultfd: %w (errno %d); a seccomp filter or the kernel's configuration forbids it", e, int(e))
	}
	arg := uffdioArg{a: uffdAPI, b: uffdFeaturesWanted}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, uffdioAPI, uintptr(unsafe.Pointer(&arg))); e != 0 {
		_ = unix.Close(int(fd))
		return 0, fmt.Errorf("userfaultfd write marks (WP_ASYNC, Linux 6.7): %w (errno %d)", e, int(e))
	}
	return fd, nil
})

func (m *Memory) uffdCall(request uintptr, name string, r PageRun, mode uint64) error {
	fd, err := uffd()
	if err != nil || r.Start >= r.End {
		return err
	}
	m.stats.Syscalls++
	start, length := m.addr(r.Start), uintptr(r.pages())<<pageShift
	arg := uffdioArg{a: uint64(start), b: uint64(length), c: mode}
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&arg)))
		switch e {
		case 0:
			return nil
		case unix.EAGAIN, unix.EINTR: // the address space is being changed, or a signal came: try again
		default:
			return mapError("ioctl("+name+")", start, length, e)
		}
	}
}

// watch lets the kernel mark writes to pages, from when they are armed.
func (m *Memory) watch(r PageRun) error {
	return m.uffdCall(uffdioRegister, "UFFDIO_REGISTER", r, uffdRegisterWP)
}

func (m *Memory) unwatch(r PageRun) error {
	return m.uffdCall(uffdioUnregister, "UFFDIO_UNREGISTER", r, 0)
}

// arm marks pages as not written, also those that were never touched. Dear where many pages are populated; to arm again
// what was written use rearm.
func (m *Memory) arm(r PageRun) error {
	return m.uffdCall(uffdioWriteProtect, "UFFDIO_WRITEPROTECT", r, uffdWriteProtectOn)
}

// open lets pages be written without a fault and without a mark.
func (m *Memory) open(r PageRun) error {
	return m.uffdCall(uffdioWriteProtect, "UFFDIO_WRITEPROTECT", r, 0)
}

var (
	// queryWritten finds pages written since they were armed. It selects by one category alone, for which the kernel has
	// a fast path.
	queryWritten = scanQuery{mask: pageIsWritten}
	// queryRearm finds them and arms them again in the same walk.
	queryRearm = scanQuery{mask: pageIsWritten, flags: scanWriteProtect}
)

// rearm arms the written pages of r again. cost: 0.6 us for one page.
func (m *Memory) rearm(r PageRun) error {
	if r.Start >= r.End {
		return nil
	}
	f, err := pagemapFD()
	if err != nil {
		return err
	}
	// Without a vector to report to, the kernel goes through the page table entries only.
	arg := scanArg{
		size: uint64(unsafe.Sizeof(scanArg{})), flags: scanWriteProtect, start: uint64(m.addr(r.Start)), end: uint64(m.addr(r.End)),
		mask: pageIsWritten,
	}
	call := unix.Syscall
	if r.pages() <= rearmGap { // too short to tell the scheduler
		call = unix.RawSyscall
	}
	for {
		m.stats.Syscalls++
		_, _, e := call(unix.SYS_IOCTL, f, pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return mapError("ioctl(PAGEMAP_SCAN)", uintptr(arg.start), uintptr(arg.end-arg.start), e)
		}
	}
}

// threadFaults is how many page faults the calling thread has had, of both kinds. getrusage(2); cost: 0.2 us.
func threadFaults() uint64 {
	var u unix.Rusage
	_, _, _ = unix.RawSyscall(unix.SYS_GETRUSAGE, 1 /* RUSAGE_THREAD */, uintptr(unsafe.Pointer(&u)), 0)
	return uint64(u.Minflt + u.Majflt)
}
