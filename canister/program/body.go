package program

// body rewrites the code of one function, and tells how much work it is for the compiler.
func (w *rewriter) body(b body, typ FuncType) ([]byte, int, *Refusal) {
	r := &reader{data: w.data, pos: b.start, end: b.end, section: sections[codeSection].name}
	s := w.survey(r, b, typ)
	if r.err != nil {
		return nil, 0, r.err.(*Refusal)
	}
	counted := s.calls || s.weight > uncountedLeaf
	if !counted && len(s.edits) == 0 {
		return append(append([]byte(nil), b.locals...), w.data[b.start:b.end]...), s.work.units(), nil
	}
	out := make([]byte, 0, b.end-b.start+len(b.locals)+64+16*len(s.edits))
	out = append(out, b.locals...)
	if counted {
		out = w.appendEnter(out, s.weight)
		out = w.appendBlock(out, typ.Results)
	}
	pos := b.start
	for _, e := range s.edits {
		out = append(out, w.data[pos:e.start]...)
		out = w.appendEdit(out, e, s.weight, counted)
		pos = e.end
	}
	out = append(out, w.data[pos:b.end]...) // the body's end closes the block
	if counted {
		out = append(w.appendLeave(out, s.weight), opEnd)
	}
	return out, s.work.units(), nil
}

// appendEnter adds the weight and stops past the limit.
func (w *rewriter) appendEnter(out []byte, weight uint32) []byte {
	out = appendU32(append(out, opGlobalGet), w.depth)
	out = appendS32(append(out, opI32Const), int32(weight))
	out = appendU32(append(out, opI32Add, opGlobalSet), w.depth)
	out = appendU32(append(out, opGlobalGet), w.depth)
	out = appendS32(append(out, opI32Const), int32(w.p.Config.StackUnits))
	return append(out, opI32GtU, opIf, blockVoid, opUnreachable, opEnd)
}

func (w *rewriter) appendLeave(out []byte, weight uint32) []byte {
	out = appendU32(append(out, opGlobalGet), w.depth)
	out = appendS32(append(out, opI32Const), int32(weight))
	return appendU32(append(out, opI32Sub, opGlobalSet), w.depth)
}

func (w *rewriter) appendBlock(out []byte, results []ValType) []byte {
	out = append(out, opBlock)
	switch len(results) {
	case 0:
		return append(out, blockVoid)
	case 1:
		return append(out, byte(results[0]))
	}
	return appendS64(out, int64(w.typeOf(FuncType{Results: results})))
}

// appendEdit writes what stands in place of one instruction.
func (w *rewriter) appendEdit(out []byte, e edit, weight uint32, counted bool) []byte {
	original := w.data[e.start:e.end]
	switch e.op {
	case opReturn:
		if counted { // leave the block, not the function
			return appendU32(append(out, opBr), uint32(e.labels))
		}
	case opReturnCall, opReturnCallIndirect:
		out = w.appendLeave(out, weight)
	case opMemoryGrow:
		return appendU32(append(out, opCall), w.grow)
	case prefixMisc:
		if e.sub == miscDataDrop || e.sub == miscElemDrop {
			return out
		}
		charge := w.chargeWide
		if e.sub == miscMemoryInit {
			charge = w.charge
		}
		out = appendU32(append(out, opCall), charge) // the length is on top
	}
	return append(out, original...)
}
