package program

// constExpr walks over a constant expression and returns it, end included. It
// may name functions, and the first few globals.
func (r *reader) constExpr(m *module, globals int) []byte {
	start := r.pos
	for r.err == nil {
		at := r.pos
		if at-start >= maxConstBytes {
			r.failAt(start, "constant expression of more than %d bytes", maxConstBytes)
			return nil
		}
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
				r.failAt(at, "there is no global %d, the module has %d so far", i, globals)
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
		r.failAt(at, "there is no function %d, the module has %d", i, m.funcCount())
	}
}

// offsetOf evaluates the offset of an active segment: constants as wide as the
// memory's addresses, sums, differences and products of them, and immutable
// globals set to such.
func (m *module) offsetOf(seg segment) (uint64, error) {
	typ := I32
	if m.wide() {
		typ = I64
	}
	v, ok := m.evaluate(seg.offset, typ, true)
	if !ok {
		return 0, &Refusal{Section: "data", Offset: seg.at,
			Reason: "the offset of an active segment is not an " + typ.String() + " constant"}
	}
	return v, nil
}

// evaluate evaluates an expression of type i32 or i64; with globals, it may
// name globals whose own value is one plain constant.
func (m *module) evaluate(expr []byte, typ ValType, globals bool) (uint64, bool) {
	const plainConst = 12 // bytes of the longest i64.const with its end
	if !globals && len(expr) > plainConst {
		return 0, false
	}
	r := &reader{data: expr, end: len(expr)}
	var stack []uint64
	for r.err == nil {
		op := r.u8()
		if op == opEnd {
			break
		}
		if typ == I64 { // as if it were the instruction on 32 bits
			op = narrowed[op]
		}
		switch op {
		case opI32Const:
			stack = append(stack, uint64(r.sleb(64)))
		case opGlobalGet:
			i := int(r.u32())
			if !globals || i >= len(m.globals) || m.globals[i].mutable || m.globals[i].typ != typ {
				return 0, false
			}
			v, ok := m.evaluate(m.globals[i].init, typ, false)
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
	if r.err != nil || len(stack) != 1 {
		return 0, false
	}
	if typ == I32 {
		return uint64(uint32(stack[0])), true
	}
	return stack[0], true
}

// narrowed maps instructions on 64 bits to those on 32.
var narrowed = map[byte]byte{opI64Const: opI32Const, opGlobalGet: opGlobalGet,
	opI64Add: opI32Add, opI64Sub: opI32Sub, opI64Mul: opI32Mul}

func arith(op byte, a, b uint64) uint64 {
	switch op {
	case opI32Add:
		return a + b
	case opI32Sub:
		return a - b
	}
	return a * b
}
