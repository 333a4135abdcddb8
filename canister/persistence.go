package canister

import (
	"fmt"

	"lockstep/canister/program"
)

// UpgradeOptions say how an upgrade is done.
type UpgradeOptions struct {
	// SkipPreUpgrade leaves canister_pre_upgrade out: for one that always traps.
	SkipPreUpgrade bool
	// Memory says whether the new module goes on with the memory of the old one.
	Memory MemoryPersistence
}

// MemoryPersistence says what becomes of linear memory in an upgrade. Its
// numbers are part of the log format.
type MemoryPersistence uint8

// The choices.
const (
	MemoryByModules MemoryPersistence = 0 // kept if both modules ask for it in a custom section
	MemoryKeep      MemoryPersistence = 1
	MemoryReplace   MemoryPersistence = 2
)

// ParseMemoryPersistence reads keep, replace, or nothing.
func ParseMemoryPersistence(text string) (MemoryPersistence, error) {
	switch text {
	case "":
		return MemoryByModules, nil
	case "keep":
		return MemoryKeep, nil
	case "replace":
		return MemoryReplace, nil
	}
	return 0, fmt.Errorf("%q is neither keep nor replace", text)
}

func (p MemoryPersistence) String() string {
	return [...]string{"", "keep", "replace"}[min(p, MemoryReplace)]
}

// keeps tells whether the memory goes on.
func (p MemoryPersistence) keeps(from, to *program.Program) bool {
	return p == MemoryKeep || p == MemoryByModules && from.KeepMemory && to.KeepMemory
}
