//go:build cgo

package canister

import "unsafe"

func (c *stockCall) memory() []byte {
	if c.mem == nil {
		return nil
	}
	return unsafe.Slice((*byte)(c.mem.Data(c.store)), c.mem.DataSize(c.store))
}

func (c *stockCall) base() uintptr { return uintptr(c.mem.Data(c.store)) }
