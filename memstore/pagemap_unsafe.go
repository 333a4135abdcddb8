//go:build cgo

package memstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PAGEMAP_SCAN (Linux 6.7), from linux/fs.h.
const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)

	scanWriteProtect = 1 << 0 // PM_SCAN_WP_MATCHING: protect the pages reported

	pageIsWritten = 1 << 1
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsZero    = 1 << 5 // mapped to the kernel's zero page: read, never written
)

type scanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

type scanRegion struct{ start, end, _ uint64 }

// scanVector bounds the ranges that one call returns. With more than 512 the kernel (6.18) leaves walk_end at an inner
// restart point, so that going on from it reports ranges twice.
const scanVector = 512

var pagemap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

// pagemapFD is its descriptor.
var pagemapFD = sync.OnceValues(func() (uintptr, error) {
	f, err := pagemap()
	if err != nil {
		return 0, fmt.Errorf("page tables: %w", err)
	}
	return f.Fd(), nil
})

// scanQuery selects pages by their page-table state.
type scanQuery struct {
	flags    uint64
	inverted uint64 // categories whose sense is turned round
	mask     uint64 // all of these
	anyOf    uint64 // any of these, if not 0
}

var (
	// queryPopulated finds pages that were touched.
	queryPopulated = scanQuery{anyOf: pageIsPresent | pageIsSwapped}
	// queryPrivate finds pages of a private mapping that became anonymous: they were written.
	queryPrivate = scanQuery{anyOf: pageIsPresent | pageIsSwapped, inverted: pageIsFile | pageIsZero, mask: pageIsFile | pageIsZero}
)

// scan appends the pages of r that the query selects, in ascending runs. cost: 0.01 to 20 ms a GiB, by what is mapped.
func (m *Memory) scan(runs []PageRun, r PageRun, q scanQuery) ([]PageRun, error) {
	f, err := pagemapFD()
	if err != nil {
		return nil, err
	}
	var vec [scanVector]scanRegion
	end := uint64(m.addr(r.End))
	arg := scanArg{
		size: uint64(unsafe.Sizeof(scanArg{})), flags: q.flags, start: uint64(m.addr(r.Start)), end: end,
		vec: uint64(uintptr(unsafe.Pointer(&vec))), vecLen: scanVector,
		inverted: q.inverted, mask: q.mask, anyOf: q.anyOf, returned: q.mask | q.anyOf,
	}
	for arg.start < end {
		m.stats.Syscalls++
		n, _, e := unix.Syscall(unix.SYS_IOCTL, f, pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return nil, mapError("ioctl(PAGEMAP_SCAN)", uintptr(arg.start), uintptr(end-arg.start), e)
		}
		for _, g := range vec[:n] {
			runs = appendRun(runs, m.pageAt(g.start), m.pageAt(g.end))
		}
		if n < scanVector {
			break
		}
		arg.start = arg.walkEnd
	}
	return runs, nil
}

func (m *Memory) pageAt(addr uint64) uint32 { return uint32((uintptr(addr) - m.base) >> pageShift) }

// populated appends the pages of r that hold anything: of a mapping of zeroes, those that can be other than zero.
func populated(m *Memory, runs []PageRun, r PageRun) ([]PageRun, error) {
	found, err := m.scan(runs, r, queryPopulated)
	if missing(err) {
		return m.readPagemap(runs, r, func(entry uint64) bool { return entry>>62 != 0 })
	}
	return found, err
}

// missing says that the kernel has no PAGEMAP_SCAN.
func missing(err error) bool { return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) }

// readPagemap is the slower way, for kernels before 6.7: one 64-bit entry a page. Bit 63 is present, 62 swapped, 61 file
// or shared.
func (m *Memory) readPagemap(runs []PageRun, r PageRun, want func(entry uint64) bool) ([]PageRun, error) {
	f, err := pagemap()
	if err != nil {
		return nil, fmt.Errorf("page tables: %w", err)
	}
	var buf [8 * chunkPages]byte
	for i := r.Start; i < r.End; {
		n := min(r.End-i, chunkPages)
		b := buf[:8*n]
		m.stats.Syscalls++
		if _, err := f.ReadAt(b, int64(m.addr(i)>>pageShift)*8); err != nil {
			return nil, fmt.Errorf("page tables: %w", err)
		}
		for k := range n {
			if want(binary.NativeEndian.Uint64(b[8*k:])) {
				runs = appendRun(runs, i+k, i+k+1)
			}
		}
		i += n
	}
	return runs, nil
}
