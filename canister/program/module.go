package program

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Limits on the shape of a module. They keep preparing and compiling within
// bounds and are part of what replicas agree on; most follow the Internet
// Computer's, the rest the engine's own.
const (
	maxModuleBytes  = 100 << 20
	maxTypes        = 10_000
	maxParams       = 1_000
	maxTypeValues   = 20_000 // parameters and results, over all types
	maxImports      = 1_000
	maxFunctions    = 50_000
	maxTables       = 16
	maxTableEntries = 1_000_000 // over all tables
	maxElements     = 1_000_000 // over all element segments
	maxGlobals      = 1_000
	maxConstBytes   = 256 // of one constant expression
	maxExports      = 20_000
	maxSegments     = 100_000
	maxLocals       = 50_000 // per function, parameters not counted
	maxBodyBytes    = 7_654_321
	maxMethods      = 1_000
	maxMethodNames  = 20_000  // bytes, over all methods
	maxCustom       = 64      // custom sections for the Internet Computer
	maxCustomBytes  = 1 << 20 // their names and contents
)

type sectionID byte

const (
	customSection sectionID = iota
	typeSection
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elementSection
	codeSection
	dataSection
	dataCountSection
	tagSection
)

// sections gives each section its name in messages and its place in a module.
var sections = [...]struct {
	name  string
	order int
}{
	customSection:    {"custom", 0},
	typeSection:      {"type", 1},
	importSection:    {"import", 2},
	functionSection:  {"function", 3},
	tableSection:     {"table", 4},
	memorySection:    {"memory", 5},
	tagSection:       {"tag", 6},
	globalSection:    {"global", 7},
	exportSection:    {"export", 8},
	startSection:     {"start", 9},
	elementSection:   {"element", 10},
	dataCountSection: {"data count", 11},
	codeSection:      {"code", 12},
	dataSection:      {"data", 13},
}

type exportKind byte

const (
	exportFunc exportKind = iota
	exportTable
	exportMemory
	exportGlobal
)

type importedFunc struct {
	module, name string
	typ          uint32
	offset       int
}

type table struct {
	raw  []byte
	min  uint64
	ref  ValType
	wide bool // indexed with 64 bits
}

type memory struct {
	min    uint64 // 64 KiB pages
	max    uint64
	hasMax bool
	wide   bool // addressed with 64 bits
}

type global struct {
	typ     ValType
	mutable bool
	init    []byte // constant expression with its end
	offset  int
}

type export struct {
	name   string
	kind   exportKind
	index  uint32
	offset int
}

type segment struct {
	passive bool
	offset  []byte // constant expression with its end, if active
	bytes   []byte
	at      int
}

// body is the code of one function: the declaration of its locals as written,
// and where its instructions lie in the module.
type body struct {
	locals     []byte
	localCount int
	v128       bool // a local is a vector
	start, end int
}

// module is a decoded module. Byte slices alias the original.
type module struct {
	data      []byte
	types     []FuncType
	imports   []importedFunc
	funcTypes []uint32 // of the functions defined here
	tables    []table
	memory    *memory
	globals   []global
	exports   []export
	start     *uint32
	elements  []byte // contents of the section, as written
	elemCount int
	dataCount int // as announced, or -1
	bodies    []body
	segments  []segment
	custom    map[string][]byte // sections for the Internet Computer

	customBytes int // names and contents of custom
	typeValues  int // parameters and results of types
	elemValues  int // of all element segments
}

// wide tells whether the module's addresses have 64 bits.
func (m *module) wide() bool { return m.memory != nil && m.memory.wide }

var magic = []byte("\x00asm\x01\x00\x00\x00")

// preambleFault tells what bytes are that do not begin as a module does.
func preambleFault(b []byte) string {
	switch {
	case len(b) == 0:
		return "it is empty: a WebAssembly module begins with \\0asm"
	case !bytes.HasPrefix(b, magic[:4]):
		return "not a WebAssembly module: it does not begin with \\0asm"
	case len(b) < len(magic):
		return fmt.Sprintf("truncated: it has %d bytes, and begins with 8 that name the version", len(b))
	case b[6] != 0 || b[7] != 0:
		return "a component, not a core module: give the core module that it was made of, built for WASI preview 1 (wasip1)"
	}
	return fmt.Sprintf("a module of version %d, only version 1 is supported", binary.LittleEndian.Uint16(b[4:]))
}

func decode(wasm []byte) (*module, error) {
	if len(wasm) > maxModuleBytes {
		return nil, refuse("", "%d bytes, the limit is %d", len(wasm), maxModuleBytes)
	}
	if !bytes.HasPrefix(wasm, magic) {
		return nil, refuse("", "%s", preambleFault(wasm))
	}
	m := &module{data: wasm, dataCount: -1, custom: make(map[string][]byte)}
	r := &reader{data: wasm, pos: len(magic), end: len(wasm), section: "module"}
	last := 0
	for r.left() > 0 && r.err == nil {
		last = m.decodeSection(r, last)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, m.checkCounts()
}

// decodeSection reads the section at r and returns its place in the order.
func (m *module) decodeSection(r *reader, last int) int {
	at := r.pos
	id := sectionID(r.u8())
	size := uint64(r.u32())
	if r.err != nil {
		return last
	}
	if int(id) >= len(sections) {
		r.failAt(at, "unknown section %d", id)
		return last
	}
	if size > uint64(r.left()) {
		r.failAt(at, "truncated: the %s section has %d bytes, %d left", sections[id].name, size, r.left())
		return last
	}
	s := &reader{data: r.data, pos: r.pos, end: r.pos + int(size), section: sections[id].name}
	r.pos = s.end
	if id == customSection {
		m.decodeCustom(s)
		r.err = s.err
		return last
	}
	order := sections[id].order
	if order <= last {
		r.failAt(at, "the %s section is repeated or out of order", sections[id].name)
		return last
	}
	m.decodeContents(id, s)
	if s.err == nil && s.left() > 0 {
		s.fail("%d bytes more than its contents", s.left())
	}
	r.err = s.err
	return order
}

// decodeCustom keeps what toolchains of the Internet Computer tell about a
// module, and skips the rest.
func (m *module) decodeCustom(s *reader) {
	at := s.pos
	name := s.name()
	if !strings.HasPrefix(name, "icp:") {
		return
	}
	if !strings.HasPrefix(name, PublicSection) && !strings.HasPrefix(name, PrivateSection) {
		s.failAt(at, "the section %s: metadata is called icp:public NAME or icp:private NAME", quoted(name))
		return
	}
	if m.customBytes += len(name) + s.left(); m.customBytes > maxCustomBytes {
		s.failAt(at, "custom sections that begin with icp: have more than %d bytes together", maxCustomBytes)
		return
	}
	if _, dup := m.custom[name]; dup {
		s.failAt(at, "the section %s is repeated", quoted(name))
		return
	}
	public, isPublic := strings.CutPrefix(name, PublicSection)
	other := PublicSection + strings.TrimPrefix(name, PrivateSection)
	if isPublic {
		other = PrivateSection + public
	}
	if _, dup := m.custom[other]; dup {
		s.failAt(at, "the sections %s and %s: one name is public or private, not both", quoted(other), quoted(name))
		return
	}
	if len(m.custom) == maxCustom {
		s.failAt(at, "more than %d custom sections that begin with icp:", maxCustom)
		return
	}
	m.custom[name] = s.take(uint64(s.left()))
}

func (m *module) decodeContents(id sectionID, s *reader) {
	switch id {
	case typeSection:
		for n := s.count("types", maxTypes); n > 0 && s.err == nil; n-- {
			m.decodeType(s)
		}
	case importSection:
		m.decodeImports(s)
	case functionSection:
		for n := s.count("functions", maxFunctions); n > 0 && s.err == nil; n-- {
			m.funcTypes = append(m.funcTypes, m.typeIndex(s))
		}
	case tableSection:
		m.decodeTables(s)
	case memorySection:
		m.decodeMemories(s)
	case tagSection:
		s.fail("exceptions are not supported: build without them")
	case globalSection:
		m.decodeGlobals(s)
	case exportSection:
		m.decodeExports(s)
	case startSection:
		index := s.u32()
		m.start = &index
	case elementSection:
		m.decodeElements(s)
	case dataCountSection:
		m.dataCount = int(s.u32())
	case codeSection:
		m.decodeBodies(s)
	case dataSection:
		m.decodeSegments(s)
	}
}

func (m *module) decodeType(s *reader) {
	at := s.pos
	t := s.funcType()
	if m.typeValues += len(t.Params) + len(t.Results); m.typeValues > maxTypeValues {
		s.failAt(at, "types with more than %d parameters and results together", maxTypeValues)
	}
	m.types = append(m.types, t)
}

func (m *module) typeIndex(s *reader) uint32 {
	at := s.pos
	i := s.u32()
	if s.err == nil && int(i) >= len(m.types) {
		s.failAt(at, "there is no type %d, the module has %d", i, len(m.types))
		return 0
	}
	return i
}

func (m *module) checkCounts() error {
	if len(m.funcTypes) != len(m.bodies) {
		return refuse("code", "%d bodies for %d functions", len(m.bodies), len(m.funcTypes))
	}
	if m.dataCount >= 0 && m.dataCount != len(m.segments) {
		return refuse("data", "%d segments, %d announced", len(m.segments), m.dataCount)
	}
	if m.start != nil && int(*m.start) >= m.funcCount() {
		return refuse("start", "there is no function %d, the module has %d", *m.start, m.funcCount())
	}
	return nil
}

func (m *module) funcCount() int { return len(m.imports) + len(m.funcTypes) }

// funcType is the type of a function by index, imported ones first.
func (m *module) funcType(index uint32) FuncType {
	if int(index) < len(m.imports) {
		return m.types[m.imports[index].typ]
	}
	return m.types[m.funcTypes[int(index)-len(m.imports)]]
}
