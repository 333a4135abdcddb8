package program

// Opcodes that preparation looks at by name.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opSelect             = 0x1b
	opSelectTyped        = 0x1c
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableGet           = 0x25
	opTableSet           = 0x26
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Eqz             = 0x45
	opI32Eq              = 0x46
	opI32GtU             = 0x4b
	opI64Eqz             = 0x50
	opI64Eq              = 0x51
	opI64LeU             = 0x58
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32Mul             = 0x6c
	opI32ShrU            = 0x76
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64Mul             = 0x7e
	opI64ShrU            = 0x88
	opI32Wrap            = 0xa7
	opI64ExtendU         = 0xad
	opRefNull            = 0xd0
	opRefIsNull          = 0xd1
	opRefFunc            = 0xd2
	prefixGC             = 0xfb
	prefixMisc           = 0xfc
	prefixSIMD           = 0xfd
	prefixThreads        = 0xfe
	blockVoid            = 0x40
)

// Second parts of opcodes under prefixMisc and prefixSIMD.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
	simdConst      = 12
)

// instruction is one decoded instruction, as far as preparation needs it.
type instruction struct {
	op         byte
	sub        uint32 // under a prefix
	start, end int
	index      uint32 // function, type, global, outermost label or segment it names
	targets    int    // of br_table
	pops, push int    // operands; calls and blocks are worked out by the caller
	block      blockType
}

// blockType is the type of a block, loop or if.
type blockType struct{ params, results int }

// arity tells how many operands an instruction takes and leaves.
type arity struct{ pops, push int8 }

// plain holds the instructions of one byte without immediates, by opcode.
var plain = plainArities()

func plainArities() (t [256]arity) {
	set := func(lo, hi int, a arity) {
		for op := lo; op <= hi; op++ {
			t[op] = a
		}
	}
	for op := range t {
		t[op] = arity{pops: -1}
	}
	set(0x00, 0x01, arity{0, 0}) // unreachable, nop
	set(0x0f, 0x0f, arity{0, 0}) // return
	set(0x1a, 0x1a, arity{1, 0}) // drop
	set(0x1b, 0x1b, arity{3, 1}) // select
	set(0x45, 0xc4, arity{2, 1}) // comparisons and arithmetic, but for:
	set(0x45, 0x45, arity{1, 1}) // i32.eqz
	set(0x50, 0x50, arity{1, 1}) // i64.eqz
	set(0x67, 0x69, arity{1, 1}) // i32.clz ...
	set(0x79, 0x7b, arity{1, 1}) // i64.clz ...
	set(0x8b, 0x91, arity{1, 1}) // f32.abs ...
	set(0x99, 0x9f, arity{1, 1}) // f64.abs ...
	set(0xa7, 0xc4, arity{1, 1}) // conversions, sign extension
	set(0xd1, 0xd1, arity{1, 1}) // ref.is_null
	return t
}

// next decodes the instruction at r.
func (m *module) next(r *reader) instruction {
	in := instruction{start: r.pos}
	in.op = r.u8()
	switch op := in.op; {
	case r.err != nil:
	case plain[op].pops >= 0:
		in.pops, in.push = int(plain[op].pops), int(plain[op].push)
	case op >= opBlock && op <= opIf:
		in.block = m.blockType(r)
	case op >= 0x28 && op <= 0x3e:
		r.memArg()
		if in.pops, in.push = 1, 1; op >= 0x36 {
			in.pops, in.push = 2, 0
		}
	case op >= 0x20 && op <= opGlobalSet:
		if in.index = r.u32(); op >= opGlobalGet && r.err == nil && int(in.index) >= len(m.globals) {
			r.failAt(in.start, "there is no global %d, the module has %d", in.index, len(m.globals))
		}
		in.pops, in.push = [...]int{0, 1, 1, 0, 1}[op-0x20], [...]int{1, 0, 1, 1, 0}[op-0x20]
	case op >= opI32Const && op <= opF64Const:
		in.push = 1
		r.constant(op)
	case op == prefixMisc:
		m.nextMisc(r, &in)
	case op == prefixSIMD:
		nextSIMD(r, &in)
	default:
		m.nextOther(r, &in)
	}
	in.end = r.pos
	return in
}

func (r *reader) constant(op byte) {
	switch op {
	case opI32Const:
		r.sleb(32)
	case opI64Const:
		r.sleb(64)
	case opF32Const:
		r.take(4)
	case opF64Const:
		r.take(8)
	}
}

// nextOther decodes control, reference and memory instructions, and refuses
// the rest by the name of their feature.
func (m *module) nextOther(r *reader, in *instruction) {
	switch op := in.op; op {
	case opElse, opEnd:
	case opBr:
		in.index = r.u32()
	case opBrIf:
		in.index, in.pops = r.u32(), 1
	case opBrTable:
		in.pops = 1
		in.targets = r.count("branch targets", maxBodyBytes) + 1
		for n := in.targets; n > 0 && r.err == nil; n-- {
			in.index = max(in.index, r.u32())
		}
	case opCall, opReturnCall:
		if in.index = r.u32(); r.err == nil && int(in.index) >= m.funcCount() {
			r.failAt(in.start, "call of function %d, the module has %d", in.index, m.funcCount())
		}
	case opCallIndirect, opReturnCallIndirect:
		in.index = m.typeIndex(r)
		r.u32()
	case opSelectTyped:
		r.valTypes("types", 1)
		in.pops, in.push = 3, 1
	case opTableGet:
		r.u32()
		in.pops, in.push = 1, 1
	case opMemorySize:
		r.memIndex()
		in.push = 1
	case opMemoryGrow:
		r.memIndex()
		in.pops, in.push = 1, 1
	case opRefNull:
		r.heapType()
		in.push = 1
	case opRefFunc:
		if in.index = r.u32(); r.err == nil && int(in.index) >= m.funcCount() {
			r.failAt(in.start, "there is no function %d, the module has %d", in.index, m.funcCount())
		}
		in.push = 1
	default:
		r.failAt(in.start, "%s", refusedOpcode(op))
	}
}

func refusedOpcode(op byte) string {
	switch {
	case op == opTableSet:
		return "table.set: tables are not part of the state and may not be written"
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		return "exceptions are not supported: build without them"
	case op == 0x14, op == 0x15, op >= 0xd3 && op <= 0xd6:
		return "typed function references are not supported"
	case op == prefixGC:
		return "garbage collection is not supported: build for linear memory"
	case op == prefixThreads:
		return "threads and atomic instructions are not supported: build without them"
	case op >= 0xe0 && op <= 0xe6:
		return "stack switching is not supported"
	}
	return "unknown instruction " + hexByte(op)
}

func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[b>>4], digits[b&15]})
}

func (m *module) blockType(r *reader) blockType {
	if r.left() > 0 {
		if b := r.data[r.pos]; b == blockVoid {
			r.u8()
			return blockType{}
		} else if b >= 0x40 && b < 0x80 {
			r.valType()
			return blockType{results: 1}
		}
	}
	at := r.pos
	i := r.sleb(33)
	if r.err == nil && (i < 0 || i >= int64(len(m.types))) {
		r.failAt(at, "block of type %d, the module has %d", i, len(m.types))
	}
	if r.err != nil {
		return blockType{}
	}
	return blockType{params: len(m.types[i].Params), results: len(m.types[i].Results)}
}

func (r *reader) memArg() {
	at := r.pos
	align := r.u32()
	if align&^0x3f != 0 {
		r.failAt(at, "memory instruction with a memory index: a canister has one memory")
	}
	r.leb(64)
}

func (r *reader) memIndex() {
	at := r.pos
	if i := r.u8(); i != 0 {
		r.failAt(at, "memory %d: a canister has one memory", i)
	}
}

func (r *reader) heapType() {
	at := r.pos
	if t := r.u8(); t != byte(FuncRef) && t != byte(ExternRef) {
		r.failAt(at, "reference type %#x is not supported", t)
	}
}
