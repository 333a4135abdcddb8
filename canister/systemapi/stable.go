package systemapi

import "math"

const (
	wasmPage = 64 << 10
	// stablePage is the unit in which stable memory is kept, and what reading
	// or writing one costs, in bytes copied.
	stablePage     = 4096
	stablePageCost = 1600
	// narrowPages is how much of stable memory the 32-bit functions can reach.
	narrowPages = 1 << 16
)

func (h *Host) stableSize([]uint64) (uint64, error) { return h.machine.Stable().Pages(), nil }

func (h *Host) stableGrow(a []uint64) (uint64, error) {
	stable := h.machine.Stable()
	old := stable.Pages()
	if !stable.Grow(a[0]) {
		return math.MaxUint64, nil // -1
	}
	return old, nil
}

func (h *Host) stableRead(a []uint64) (uint64, error) { // dst, offset, size
	mem, err := h.stableRange(a[0], a[1], a[2])
	if err == nil {
		h.machine.Stable().Read(mem, a[1])
	}
	return 0, err
}

func (h *Host) stableWrite(a []uint64) (uint64, error) { // offset, src, size
	mem, err := h.stableRange(a[1], a[0], a[2])
	if err != nil {
		return 0, err
	}
	return 0, h.machine.Stable().Write(a[0], mem)
}

// stableRange checks a range in both memories, has the pages paid for that it
// touches in stable memory, and gives the one in the canister's own.
func (h *Host) stableRange(ptr, offset, size uint64) ([]byte, error) {
	limit := h.machine.Stable().Pages() * wasmPage
	if offset > limit || size > limit-offset {
		return nil, trapf("%d bytes at %d are outside the stable memory of %d bytes", size, offset, limit)
	}
	mem, err := h.slice(ptr, size)
	if err != nil || size == 0 {
		return mem, err
	}
	pages := (offset+size-1)/stablePage - offset/stablePage + 1
	return mem, h.charge(size + pages*stablePageCost)
}

// narrowStable refuses the 32-bit functions once they cannot reach all.
func (h *Host) narrowStable() error {
	if pages := h.machine.Stable().Pages(); pages > narrowPages {
		return trapf("the stable memory of %d pages is too large for the 32-bit functions", pages)
	}
	return nil
}

func (h *Host) stable32Size(a []uint64) (uint64, error) {
	if err := h.narrowStable(); err != nil {
		return 0, err
	}
	return h.stableSize(a)
}

func (h *Host) stable32Grow(a []uint64) (uint64, error) {
	if err := h.narrowStable(); err != nil {
		return 0, err
	}
	if h.machine.Stable().Pages()+a[0] > narrowPages {
		return math.MaxUint32, nil // -1
	}
	old, err := h.stableGrow(a)
	return old & math.MaxUint32, err
}

func (h *Host) stable32Read(a []uint64) (uint64, error) {
	if err := h.narrowStable(); err != nil {
		return 0, err
	}
	return h.stableRead(a)
}

func (h *Host) stable32Write(a []uint64) (uint64, error) {
	if err := h.narrowStable(); err != nil {
		return 0, err
	}
	return h.stableWrite(a)
}
