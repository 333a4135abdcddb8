package memstore

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is the Store's reserved address range and the tables beside it. All of it is mapped outside the Go heap and
// touched lazily, so that a large reservation costs address space only, and nothing in it is ever scanned by the
// garbage collector.
type arena struct {
	reserved []byte // the whole mapping
	base     uintptr
	slots    uint32
	gens     []uint32   // how often the slot was freed; atomic
	hashed   []uint32   // generation whose hash is in hashes, 0 for none, hashBusy while one is written; atomic
	hashes   [][32]byte // valid while hashed says so
}

const hashBusy = ^uint32(0)

// slabBytes is the unit of arena management: a huge page.
const slabBytes = chunkPages * PageSize

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
	a.adviseHuge(a.base, uintptr(slots)*PageSize)
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

// adviseHuge asks for huge pages. They make the first touch of a slab and every comparison cheaper; where the kernel
// has none nothing is lost, so its answer does not matter.
func (a *arena) adviseHuge(addr, length uintptr) {
	_ = madviseRaw(addr, length, unix.MADV_HUGEPAGE)
}

func (a *arena) slotAddr(slot uint32) uintptr { return a.base + uintptr(slot)<<pageShift }

// slotBytes is the page in a slot, whatever its generation.
func (a *arena) slotBytes(slot uint32) []byte { return bytesAt(a.slotAddr(slot), PageSize) }

func (a *arena) gen(slot uint32) uint32 { return atomic.LoadUint32(&a.gens[slot]) + 1 }

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

// bump ends a slot's generation: handles made before are dead from here on.
func (a *arena) bump(slot uint32) { atomic.AddUint32(&a.gens[slot], 1) }

// setGen raises a free slot's generation.
func (a *arena) setGen(slot, gen uint32) { atomic.StoreUint32(&a.gens[slot], gen-1) }
