package program

// constExpr walks over a constant expression and returns it, end included. It
// may name functions, and the first few globals.
func (r *reader) constExpr(m *module, globals int) []byte {
	start := r.pos
	for r.err == nil {
		at := r.pos
		switch op := r.u8(); op {
		case opEnd:
			return r.data[start:r.pos]
		case opI32Const:
			r.sleb(32)
		case opI64Const:
			r.sleb(64)
		case opF32Const:
			r.take(4)
		case opF64Const:
			r.take(8)
		case opGlobalGet:
			if i := r.u32(); r.err == nil && int(i) >= globals {
				r.failAt(at, "global %d of %d", i, globals)
			}
		case opRefFunc:
			r.funcIndex(m)
		case opRefNull:
			r.heapType()
		case opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
		case prefixSIMD:
			if sub := r.u32(); sub != simdConst {
				r.failAt(at, "instruction 0xfd %d in a constant expression", sub)
			}
			r.take(16)
		default:
			r.failAt(at, "instruction %#x in a constant expression", op)
		}
	}
	return nil
}

func (r *reader) funcIndex(m *module) {
	at := r.pos
	if i := r.u32(); r.err == nil && int(i) >= m.funcCount() {
		r.failAt(at, "function %d of %d", i, m.funcCount())
	}
}

// offsetOf evaluates the offset of an active segment: i32 constants, sums,
// differences and products of them, and immutable globals set to such.
func (m *module) offsetOf(seg segment) (uint32, error) {
	v, ok := m.evalI32(seg.offset, true)
	if !ok {
		return 0, &Refusal{Section: "data", Offset: seg.at,
			Reason: "the offset of an active segment is not an i32 constant"}
	}
	return v, nil
}

// evalI32 evaluates an expression; with globals, it may name globals whose own
// value is one plain constant.
func (m *module) evalI32(expr []byte, globals bool) (uint32, bool) {
	const plainConst = 7 // bytes of the longest i32.const with its end
	if !globals && len(expr) > plainConst {
		return 0, false
	}
	r := &reader{data: expr, end: len(expr)}
	var stack []uint32
	for r.err == nil {
		op := r.u8()
		switch op {
		case opEnd:
			return append(stack, 0)[0], len(stack) == 1
		case opI32Const:
			stack = append(stack, uint32(r.sleb(32)))
		case opGlobalGet:
			i := int(r.u32())
			if !globals || i >= len(m.globals) || m.globals[i].mutable || m.globals[i].typ != I32 {
				return 0, false
			}
			v, ok := m.evalI32(m.globals[i].init, false)
			if !ok {
				return 0, false
			}
			stack = append(stack, v)
		case opI32Add, opI32Sub, opI32Mul:
			n := len(stack)
			if n < 2 {
				return 0, false
			}
			stack = append(stack[:n-2], arith(op, stack[n-2], stack[n-1]))
		default:
			return 0, false
		}
	}
	return 0, false
}

func arith(op byte, a, b uint32) uint32 {
	switch op {
	case opI32Add:
		return a + b
	case opI32Sub:
		return a - b
	}
	return a * b
}
