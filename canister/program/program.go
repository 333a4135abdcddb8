package program

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Version names the rules of preparation. Modules prepared by different
// versions may spend different fuel and stop at different depths, so replicas
// that apply the same round must use the same one.
const Version = 1

// ModuleHash is the SHA-256 of a module's original bytes.
type ModuleHash [sha256.Size]byte

func (h ModuleHash) String() string { return hex.EncodeToString(h[:]) }

// Names that preparation adds to a module. No original export may start with
// reservedPrefix.
const (
	reservedPrefix = "lockstep:"
	MemoryExport   = reservedPrefix + "memory"
	DepthExport    = reservedPrefix + "depth"
	StartExport    = reservedPrefix + "start"
)

// Entry points that a module exports under a name of its own.
const (
	InitExport       = "canister_init"
	InitializeExport = "_initialize" // of a WASI reactor
)

// GrowFailed is the value of the depth global after the engine has refused a
// growth that the limit allows.
const GrowFailed = 0xffffffff

// GlobalExport is the reserved name of the i-th global of Program.Globals.
func GlobalExport(i int) string { return reservedPrefix + "global " + strconv.Itoa(i) }

// Segment is an active data segment: Bytes go to Offset in memory when the
// canister is installed.
type Segment struct {
	Offset uint32
	Bytes  []byte
}

// Program is a prepared module. It is immutable; slices must not be changed.
type Program struct {
	Hash     ModuleHash
	Original []byte    // the module as it was given; the caller's bytes
	Wasm     []byte    // the module the engine runs
	Updates  []string  // names of update methods, sorted
	Queries  []string  // names of query methods, sorted
	Globals  []ValType // every mutable global, in order of index; the clock, if any, is last

	HasMemory bool
	MemoryMin uint64 // 64 KiB pages
	MemoryMax uint64 // 64 KiB pages, the replicated limit applied

	// HasClock says that the last of Globals is an i64 that preparation added:
	// how far the canister's clock has come by waiting.
	HasClock bool

	HasStart      bool // exports StartExport
	HasInitialize bool // exports InitializeExport
	HasInit       bool // exports InitExport

	Segments []Segment
	Config   Config // what it was prepared with, functions left out

	exports map[method]string
}

type method struct {
	name  string
	query bool
}

// Export is the name under which a method is exported.
func (p *Program) Export(name string, query bool) (string, bool) {
	e, ok := p.exports[method{name, query}]
	return e, ok
}

// Config is the replicated configuration that shapes a prepared module.
type Config struct {
	MemoryPages uint64 // limit on a memory, 64 KiB pages, at most 65536
	StackUnits  uint32 // limit on the weight of nested calls, at most MaxStackUnits

	// Imports tells the type of a host function, false if there is none.
	Imports func(module, name string) (FuncType, bool)
	// Waits tells whether a host function can move the canister's clock.
	Waits func(module, name string) bool
}

// Prepare decodes, checks and rewrites a module. Every error is a *Refusal.
//
// Preconditions: cfg is within its limits. Cost: a few passes over the module.
func Prepare(wasm []byte, cfg Config) (*Program, error) {
	m, err := decode(wasm)
	if err != nil {
		return nil, err
	}
	if err := m.checkImports(cfg.Imports); err != nil {
		return nil, err
	}
	if err := m.checkGlobals(); err != nil {
		return nil, err
	}
	p := &Program{Hash: sha256.Sum256(wasm), Original: wasm, exports: make(map[method]string)}
	p.Config = Config{MemoryPages: cfg.MemoryPages, StackUnits: cfg.StackUnits}
	for _, imp := range m.imports {
		p.HasClock = p.HasClock || cfg.Waits != nil && cfg.Waits(imp.module, imp.name)
	}
	if err := m.checkExports(p); err != nil {
		return nil, err
	}
	if err := m.limitMemory(p); err != nil {
		return nil, err
	}
	if err := m.collectSegments(p); err != nil {
		return nil, err
	}
	p.Wasm, err = m.rewrite(p)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (m *module) checkGlobals() error {
	for i, g := range m.globals {
		if g.mutable && g.typ.isRef() {
			return &Refusal{Section: "global", Offset: g.offset, Reason: "mutable global " + strconv.Itoa(i) +
				" holds a " + g.typ.String() + ", which cannot be part of the state"}
		}
	}
	return nil
}

// limitMemory works out the memory's bounds under the replicated limit.
func (m *module) limitMemory(p *Program) error {
	if m.memory == nil {
		return nil
	}
	p.HasMemory, p.MemoryMin, p.MemoryMax = true, m.memory.min, p.Config.MemoryPages
	if m.memory.hasMax {
		p.MemoryMax = min(p.MemoryMax, m.memory.max)
	}
	if p.MemoryMin > p.MemoryMax {
		return refuse("memory", "%d pages of 64 KiB at start, the limit is %d", p.MemoryMin, p.MemoryMax)
	}
	return nil
}

// collectSegments takes the active segments out of the module.
func (m *module) collectSegments(p *Program) error {
	for _, seg := range m.segments {
		if seg.passive {
			continue
		}
		offset, err := m.offsetOf(seg)
		if err != nil {
			return err
		}
		if !p.HasMemory || uint64(offset)+uint64(len(seg.bytes)) > p.MemoryMin<<16 {
			return &Refusal{Section: "data", Offset: seg.at, Reason: "active segment of " + strconv.Itoa(len(seg.bytes)) +
				" bytes at " + strconv.FormatUint(uint64(offset), 10) + " lies outside the memory"}
		}
		if len(seg.bytes) > 0 {
			p.Segments = append(p.Segments, Segment{Offset: offset, Bytes: seg.bytes})
		}
	}
	return nil
}
