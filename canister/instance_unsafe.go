package canister

import "unsafe"

// memory is the guest's memory as it is now. Reading or writing it goes
// through the same tracking as the guest's own accesses.
func (in *instance) memory() []byte {
	if in.mem == nil {
		return nil
	}
	return unsafe.Slice((*byte)(in.mem.Data(in.store)), in.mem.DataSize(in.store))
}

// base is the address of the memory's first byte. It stays while the instance
// lives: the engine reserves all that a 32-bit memory can grow to.
func (in *instance) base() uintptr { return uintptr(in.mem.Data(in.store)) }
