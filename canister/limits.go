package canister

import (
	"errors"
	"fmt"

	"lockstep/canister/program"
	"lockstep/memstore"
)

// Limits is the part of the replicated configuration that bounds a canister.
// Every field must be set; DefaultLimits gives values to start from.
type Limits struct {
	// MemoryBytes bounds linear memory: a multiple of 64 KiB, at most 4 GiB.
	MemoryBytes uint64
	// StableBytes bounds stable memory: a multiple of 64 KiB, at most 64 GiB; 0
	// for none. One execution can write maxStableWrites pages of it.
	StableBytes uint64
	// Fuel bounds the work of one update or query, in the engine's units of
	// about one instruction; InstallFuel that of an installation. At least 1.
	Fuel        uint64
	InstallFuel uint64
	// ReplyBytes bounds a reply, the message of a reject and the argument of a
	// call to another canister: 1 to 64 MiB.
	ReplyBytes uint64
	// StackUnits bounds the weight of nested calls (package program says what
	// a function weighs): 1024 to program.MaxStackUnits.
	StackUnits uint64
}

const (
	maxReplyBytes  = 64 << 20
	maxStableBytes = 64 << 30
)

// DefaultLimits allows what the Internet Computer allows, with amounts of fuel
// that take seconds to burn: a round waits for the longest execution in it, so
// an endless canister_init holds up a cluster for 2 to 4 s. Of real programs
// a canister in TypeScript needs the most to be installed, 940 million units
// for its interpreter; Motoko and Go need less than 5 million. An upgrade that
// writes a heap of hundreds of megabytes to stable memory may need more than
// the default: raise InstallFuel for it.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: 4 << 30,
		StableBytes: 8 << 30,
		Fuel:        4_000_000_000,
		InstallFuel: 8_000_000_000,
		ReplyBytes:  2 << 20,
		StackUnits:  program.MaxStackUnits,
	}
}

// Validate reports every field that is out of bounds.
func (l Limits) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(l.MemoryBytes%memstore.WasmPageSize == 0, "MemoryBytes %d is not a multiple of 64 KiB", l.MemoryBytes)
	check(l.MemoryBytes <= 4<<30, "MemoryBytes %d is over 4 GiB", l.MemoryBytes)
	check(l.StableBytes%memstore.WasmPageSize == 0, "StableBytes %d is not a multiple of 64 KiB", l.StableBytes)
	check(l.StableBytes <= maxStableBytes, "StableBytes %d is over 64 GiB", l.StableBytes)
	check(l.Fuel >= 1 && l.Fuel <= 1<<62, "Fuel %d is not within 1 and 1<<62", l.Fuel)
	check(l.InstallFuel >= 1 && l.InstallFuel <= 1<<62, "InstallFuel %d is not within 1 and 1<<62", l.InstallFuel)
	check(l.ReplyBytes >= 1 && l.ReplyBytes <= maxReplyBytes, "ReplyBytes %d is not within 1 and 64 MiB", l.ReplyBytes)
	check(l.StackUnits >= 1024 && l.StackUnits <= program.MaxStackUnits,
		"StackUnits %d is not within 1024 and %d", l.StackUnits, program.MaxStackUnits)
	return errors.Join(errs...)
}

// shape is the part of the limits that preparation writes into the module.
func (l Limits) shape() program.Config {
	return program.Config{MemoryPages: l.MemoryBytes / memstore.WasmPageSize, StackUnits: uint32(l.StackUnits)}
}
