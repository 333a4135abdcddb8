//go:build cgo

package memstore

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is the Store's reserved address range and the tables beside it. All of it is mapped outside the Go heap and
// touched lazily, so that a large reservation costs address space only, and nothing in it is ever scanned by the
// garbage collector.
type arena struct {
	books
	reserved []byte // the whole mapping
	base     uintptr
	huge     bool // huge pages are asked for
}

func mapReserve(length uintptr, prot int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(length), prot, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, mapError("mmap", 0, length, err)
	}
	return b, nil
}

func mapTable[T any](n uint32) ([]T, error) {
	var zero T
	b, err := mapReserve(uintptr(n)*unsafe.Sizeof(zero), unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}

func unmapTable[T any](t []T) error {
	if t == nil {
		return nil
	}
	var zero T
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t))), uintptr(cap(t))*unsafe.Sizeof(zero)))
}

// open reserves room for the given number of slots, a multiple of chunkPages.
func (a *arena) open(slots uint32) (err error) {
	length := uintptr(slots)*PageSize + slabBytes
	if a.reserved, err = mapReserve(length, unix.PROT_NONE); err != nil {
		return err
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(a.reserved)))
	a.base = (start + slabBytes - 1) &^ (slabBytes - 1)
	a.slots = slots
	if a.gens, err = mapTable[uint32](slots); err != nil {
		return err
	}
	if a.hashed, err = mapTable[uint32](slots); err != nil {
		return err
	}
	a.hashes, err = mapTable[[32]byte](slots)
	return err
}

func (a *arena) close() error {
	for _, err := range []error{unmapTable(a.gens), unmapTable(a.hashed), unmapTable(a.hashes)} {
		if err != nil {
			return mapError("munmap", a.base, 0, err)
		}
	}
	if a.reserved == nil {
		return nil
	}
	if err := unix.Munmap(a.reserved); err != nil {
		return mapError("munmap", a.base, uintptr(len(a.reserved)), err)
	}
	return nil
}

// adviseHuge asks for huge pages from a slab on, for a state of more than one: a smaller one would pay for 2 MiB, and the files of checkpoints are
// mapped before. They make the first touch of a slab and every comparison cheaper; where the kernel has none nothing is lost, so its
// answer does not matter.
func (a *arena) adviseHuge(from uint32) {
	if !a.huge {
		a.huge = true
		_ = madviseRaw(a.slabAddr(from), uintptr(a.slots-from*chunkPages)*PageSize, unix.MADV_HUGEPAGE)
	}
}

func (a *arena) slotAddr(slot uint32) uintptr { return a.base + uintptr(slot)<<pageShift }

// slabAddr is where a slab begins.
func (a *arena) slabAddr(slab uint32) uintptr { return a.slotAddr(slab * chunkPages) }

// openSlab lets the memory of a new slab be used.
func (a *arena) openSlab(slab uint32) error {
	return mprotectRaw(a.slabAddr(slab), slabBytes, unix.PROT_READ|unix.PROT_WRITE)
}

// touchSlab brings in the memory of a slab that is free.
func (a *arena) touchSlab(slab uint32) { touch(a.slabAddr(slab)) }

// drainSlab gives a free slab's memory back. A refusal leaves it in use and nothing wrong, so it is not an error.
func (a *arena) drainSlab(slab uint32) {
	_ = madviseRaw(a.slabAddr(slab), slabBytes, unix.MADV_DONTNEED)
}

// mapFile maps a file's pages to its slabs. from is b.file under another descriptor.
func (a *arena) mapFile(b *backing, _ *os.File) error {
	return mmapFixed(a.slabAddr(b.firstSlab), uintptr(b.pages.Bytes()), unix.PROT_READ, unix.MAP_SHARED, int(b.file.Fd()), b.off)
}

// unmapFile makes its slabs as if they were new.
func (a *arena) unmapFile(b *backing) error {
	addr, length := a.slabAddr(b.firstSlab), uintptr(b.slabCount)*slabBytes
	err := mmapFixed(addr, length, unix.PROT_NONE, unix.MAP_PRIVATE, -1, 0)
	if err == nil && a.huge {
		_ = madviseRaw(addr, length, unix.MADV_HUGEPAGE)
	}
	return err
}

// ownFile is a file that stays open when f is closed.
func ownFile(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// slotBytes is the page in a slot, whatever its generation.
func (a *arena) slotBytes(slot uint32) []byte { return bytesAt(a.slotAddr(slot), PageSize) }

// bytesAt is the memory at an address that is mapped outside the Go heap.
func bytesAt(addr, length uintptr) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), length)
}

func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func madviseRaw(addr, length uintptr, advice int) error {
	if _, _, e := unix.Syscall(unix.SYS_MADVISE, addr, length, uintptr(advice)); e != 0 {
		return e
	}
	return nil
}

func mprotectRaw(addr, length uintptr, prot int) error {
	if length == 0 {
		return nil
	}
	if _, _, e := unix.Syscall(unix.SYS_MPROTECT, addr, length, uintptr(prot)); e != 0 {
		return mapError("mprotect", addr, length, e)
	}
	return nil
}

// mmapFixed replaces what is mapped at [addr, addr+length). fd < 0 maps zeroes.
func mmapFixed(addr, length uintptr, prot, flags, fd int, off int64) error {
	if length == 0 {
		return nil
	}
	flags |= unix.MAP_FIXED
	if fd < 0 {
		flags |= unix.MAP_ANON | unix.MAP_NORESERVE
		fd, off = -1, 0
	}
	if _, _, e := unix.Syscall6(unix.SYS_MMAP, addr, length, uintptr(prot), uintptr(flags), uintptr(fd), uintptr(off)); e != 0 {
		return mapError("mmap", addr, length, e)
	}
	return nil
}
