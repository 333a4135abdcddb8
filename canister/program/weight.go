package program

import "math"

// The native stack that a function's frame takes differs with the engine's
// version and settings, so preparation counts a weight of its own, in units.
// One unit stands for at most unitBytes of native stack under every setting:
// the engine's own limit is StackUnits × unitBytes, and is never reached first.
//
//	weight = fixedWeight + params + results + locals + deepest operand stack + instructions/8
//
// and twice the variable part where the function touches vectors. The first
// terms are the values that a frame may have to keep; the last one is there
// because an optimising compiler keeps values of its own alive across a loop
// (hoisted, shared), of which it cannot have more than instructions that
// compute them: two instructions at least make one such value of 8 bytes, and
// 8/2 < unitBytes/8.
//
// A function that calls nothing and weighs little is not counted at all: it
// ends a chain and cannot prolong it.
const (
	unitBytes         = 48
	fixedWeight       = 16
	uncountedLeaf     = 128
	instructionsAUnit = 8

	// MaxStackUnits is the highest stack limit that the engine's backstop
	// leaves room for; NativeStackBytes is that backstop.
	MaxStackUnits    = 1 << 20
	NativeStackBytes = MaxStackUnits * unitBytes
)

// edit is a change to one instruction of a body.
type edit struct {
	instruction
	labels int // blocks open around it, the body not counted
}

// survey is what one walk over a body finds.
type survey struct {
	weight uint32
	work   work // for the compiler
	calls  bool
	edits  []edit
}

// frame is an open block during the walk.
type frame struct {
	base  int // operands below it
	block blockType
	loop  bool
	met   bool // more than one path may come to its label
	sets  int  // of locals ahead of it
}

// noTable stands where no br_table is open.
const noTable = math.MaxInt

// walker follows the height of the operand stack through a body. For a body
// that the engine will refuse the height may be anything; it is only ever used
// as a number.
type walker struct {
	frames  []frame
	height  int
	highest int
	loops   int // of frames
	sets    int // of locals so far
	table   int // frame of the outermost label that a br_table may branch to, or noTable
}

func (w *walker) top() *frame { return &w.frames[len(w.frames)-1] }

func (w *walker) apply(pops, push int) {
	w.height = max(w.height-pops, w.top().base) + push
	w.highest = max(w.highest, w.height)
}

func (w *walker) enter(f frame) {
	w.height = max(w.height-f.block.params, w.top().base)
	f.base, f.sets = w.height, w.sets
	w.frames = append(w.frames, f)
	if f.loop {
		w.loops++
	}
	w.apply(0, f.block.params)
}

func (w *walker) leave() {
	f := *w.top()
	w.frames = w.frames[:len(w.frames)-1]
	if f.loop {
		w.loops--
	}
	w.height = f.base
	w.apply(0, f.block.results)
}

// survey walks over a body to its last end, which must be its last byte.
func (m *module) survey(r *reader, b body, typ FuncType) survey {
	w := walker{frames: []frame{{block: blockType{results: len(typ.Results)}}}, table: noTable}
	locals := b.localCount + len(typ.Params)
	s := survey{work: functionWork(locals, typ)}
	count, vector := 0, b.v128
	for r.err == nil && r.left() > 0 {
		in := m.next(r)
		if r.err != nil {
			return s
		}
		count++
		vector = vector || in.op == prefixSIMD
		if in.op == opEnd && len(w.frames) == 1 {
			if r.left() > 0 {
				r.fail("%d bytes after the end of the function", r.left())
			}
			s.weight = weigh(w.highest+len(typ.Params)+len(typ.Results)+b.localCount, count, vector || hasVector(typ))
			return s
		}
		s.note(m, r, in, len(w.frames)-1)
		if r.err != nil {
			return s
		}
		if s.work.add(m, &w, in, locals); s.work.units() > maxFunctionWork {
			r.failAt(in.start, "the function is too much work for the compiler: more than %d units of instructions, and branches times locals; split it, or build it optimised", maxFunctionWork)
			return s
		}
		m.step(&w, in)
	}
	r.fail("function without an end")
	return s
}

func hasVector(t FuncType) bool {
	for _, list := range [][]ValType{t.Params, t.Results} {
		for _, v := range list {
			if v == V128 {
				return true
			}
		}
	}
	return false
}

func weigh(slots, instructions int, vector bool) uint32 {
	w := slots + instructions/instructionsAUnit
	if vector {
		w *= 2
	}
	return uint32(fixedWeight + w)
}

// note remembers the instructions that rewriting changes.
func (s *survey) note(m *module, r *reader, in instruction, labels int) {
	usesMemory := in.op == opMemoryGrow || in.op == prefixMisc &&
		(in.sub == miscMemoryInit || in.sub == miscMemoryCopy || in.sub == miscMemoryFill)
	if usesMemory && m.memory == nil {
		r.failAt(in.start, "memory instruction in a module without memory")
	}
	if (in.op == opBr || in.op == opBrIf || in.op == opBrTable) && int(in.index) > labels {
		r.failAt(in.start, "branch out of %d blocks, there are %d", in.index, labels)
	}
	tail := in.op == opReturnCall || in.op == opReturnCallIndirect
	drop := in.op == prefixMisc && (in.sub == miscDataDrop || in.sub == miscElemDrop)
	s.calls = s.calls || tail || in.op == opCall || in.op == opCallIndirect
	if usesMemory || tail || drop || in.op == opReturn {
		s.edits = append(s.edits, edit{instruction: in, labels: labels})
	}
}

// step follows what one instruction does to the operand stack.
func (m *module) step(w *walker, in instruction) {
	switch in.op {
	case opBlock, opLoop:
		w.enter(frame{block: in.block, loop: in.op == opLoop})
	case opIf:
		w.apply(1, 0)
		w.enter(frame{block: in.block, met: true})
	case opElse:
		f := w.top()
		w.height = f.base
		w.apply(0, f.block.params)
	case opEnd:
		w.leave()
	case opCall, opCallIndirect:
		w.applyCall(in, m.calleeType(in))
	case opUnreachable, opBr, opBrTable, opReturn, opReturnCall, opReturnCallIndirect:
		w.height = w.top().base
	default:
		w.apply(in.pops, in.push)
	}
}

func (m *module) calleeType(in instruction) FuncType {
	if in.op == opCall || in.op == opReturnCall {
		return m.funcType(in.index)
	}
	return m.types[in.index]
}

func (w *walker) applyCall(in instruction, t FuncType) {
	if in.op == opCallIndirect {
		w.apply(1, 0)
	}
	w.apply(len(t.Params), len(t.Results))
}
