package program

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Version names the rules of preparation. Modules prepared by different
// versions may spend different fuel and stop at different depths, so replicas
// that apply the same round must use the same one.
const Version = 3

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
	CallbackExport = reservedPrefix + "callback"
)

// Entry points that a module exports under a name of its own.
const (
	InitExport        = "canister_init"
	PreUpgradeExport  = "canister_pre_upgrade"
	PostUpgradeExport = "canister_post_upgrade"
	InspectExport     = "canister_inspect_message"
	HeartbeatExport   = "canister_heartbeat"
	TimerExport       = "canister_global_timer"
	InitializeExport  = "_initialize" // of a WASI reactor
)

// Custom sections by which a module tells about itself begin with one of
// these, as the Internet Computer's toolchains write them; the rest is the name.
const (
	PublicSection  = "icp:public "
	PrivateSection = "icp:private "
)

const keepMemorySection = PrivateSection + "enhanced-orthogonal-persistence"

// Metadata is a custom section by which a module tells about itself, such as
// candid:service; public ones come before private ones. ok is false if there is
// none of the name.
func (p *Program) Metadata(name string) (contents []byte, ok bool) {
	for _, prefix := range []string{PublicSection, PrivateSection} {
		if contents, ok = p.Sections[prefix+name]; ok {
			return contents, true
		}
	}
	return nil, false
}

// MethodKind is how a method may be called.
type MethodKind uint8

// The kinds of methods.
const (
	Update MethodKind = iota + 1
	Query
	CompositeQuery
)

// GrowFailed is the value of the depth global after the engine has refused a
// growth that the limit allows.
const GrowFailed = 0xffffffff

// GlobalExport is the reserved name of the i-th global of Program.Globals.
func GlobalExport(i int) string { return reservedPrefix + "global " + strconv.Itoa(i) }

// Segment is an active data segment: Bytes go to Offset in memory when the
// canister is installed.
type Segment struct {
	Offset uint64
	Bytes  []byte
}

// Program is a prepared module. It is immutable; slices must not be changed.
type Program struct {
	Hash     ModuleHash
	Original []byte   // the module as it was given; the caller's bytes
	Wasm     []byte   // the module the engine runs
	Updates  []string // names of update methods, sorted
	Queries  []string // names of query methods, sorted
	// CompositeQueries are names of query methods that may call others, sorted.
	CompositeQueries []string
	Globals          []ValType // every mutable global, in order of index; the clock, if any, is last

	HasMemory bool
	MemoryMin uint64 // 64 KiB pages
	MemoryMax uint64 // 64 KiB pages, the replicated limit applied
	Wide      bool   // the memory is a 64-bit one

	// HasTable says that the module exports CallbackExport: it takes the index
	// of a function in the first table and a number, both as i64, and calls the
	// function with the number, which it takes as wide as the memory's addresses.
	HasTable bool
	// KeepMemory says that the module wants the memory of the one that it
	// replaces in an upgrade (Motoko's enhanced orthogonal persistence).
	KeepMemory bool
	// Sections are the custom sections that begin with PublicSection or
	// PrivateSection, by whole name.
	Sections map[string][]byte

	// HasClock says that the last of Globals is an i64 that preparation added:
	// how far the canister's clock has come by waiting.
	HasClock bool

	Segments []Segment
	Config   Config // what it was prepared with, functions left out

	entries map[string]bool
	methods map[string]method
}

type method struct {
	kind   MethodKind
	export string
}

// Has tells whether the program exports StartExport or one of the entry points.
func (p *Program) Has(entry string) bool { return p.entries[entry] }

// Method is a method's kind, 0 if there is none of this name, and the name
// under which it is exported.
func (p *Program) Method(name string) (MethodKind, string) {
	m := p.methods[name]
	return m.kind, m.export
}

// Config is the replicated configuration that shapes a prepared module.
type Config struct {
	MemoryPages uint64 // limit on a memory, 64 KiB pages, at most 65536
	StackUnits  uint32 // limit on the weight of nested calls, at most MaxStackUnits

	// Imports tells the type of a host function, false if there is none; wide
	// is for modules with a 64-bit memory.
	Imports func(module, name string, wide bool) (FuncType, bool)
	// Advice says what to do about a function that there is none of; "" if there
	// is nothing to say. It may be nil.
	Advice func(module, name string, wide bool) string
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
	if err := m.checkImports(cfg); err != nil {
		return nil, err
	}
	if err := m.checkGlobals(); err != nil {
		return nil, err
	}
	p := &Program{Hash: sha256.Sum256(wasm), Original: wasm, Wide: m.wide(), Sections: m.custom,
		entries: make(map[string]bool), methods: make(map[string]method)}
	_, p.KeepMemory = m.custom[keepMemorySection]
	p.HasTable = len(m.tables) > 0 && m.tables[0].ref == FuncRef
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
				" is of type " + g.typ.String() + ": references cannot be part of the state"}
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
		return refuse("memory", "%d pages of 64 KiB at start, the limit is %d: build with a smaller initial memory, or raise the limit MemoryBytes", p.MemoryMin, p.MemoryMax)
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
		if !p.HasMemory {
			return &Refusal{Section: "data", Offset: seg.at, Reason: "active segment in a module without memory"}
		}
		if size := p.MemoryMin << 16; offset > size || uint64(len(seg.bytes)) > size-offset {
			return &Refusal{Section: "data", Offset: seg.at, Reason: "active segment of " + strconv.Itoa(len(seg.bytes)) +
				" bytes at " + strconv.FormatUint(offset, 10) + " lies outside the memory of " + strconv.FormatUint(p.MemoryMin, 10) + " pages of 64 KiB"}
		}
		if len(seg.bytes) > 0 {
			p.Segments = append(p.Segments, Segment{Offset: offset, Bytes: seg.bytes})
		}
	}
	return nil
}
