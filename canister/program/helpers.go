package program

// The functions that preparation adds to a module.

// chargeBody is a function that takes a length and gives it back, having gone
// round a loop once per 128 bytes:
//
//	n = length >> 7; if n { do { n -= 1 } while n }; return length
func (w *rewriter) chargeBody() []byte {
	const length, n = 0, 1
	return []byte{1, 1, byte(I32), // one more local
		opLocalGet, length, opI32Const, 7, opI32ShrU, opLocalTee, n,
		opIf, blockVoid,
		opLoop, blockVoid,
		opLocalGet, n, opI32Const, 1, opI32Sub, opLocalTee, n, opBrIf, 0,
		opEnd,
		opEnd,
		opLocalGet, length, opEnd}
}

// chargeWideBody is the same for lengths of 64 bits. One that no memory has is
// let through: the instruction will trap.
//
//	if length >> 33 == 0 { n = length >> 7; if n { do { n -= 1 } while n } }; return length
func (w *rewriter) chargeWideBody() []byte {
	const length, n, most = 0, 1, 33
	return []byte{1, 1, byte(I64), // one more local
		opLocalGet, length, opI64Const, most, opI64ShrU, opI64Eqz,
		opIf, blockVoid,
		opLocalGet, length, opI64Const, 7, opI64ShrU, opLocalTee, n, opI64Eqz, opI32Eqz,
		opIf, blockVoid,
		opLoop, blockVoid,
		opLocalGet, n, opI64Const, 1, opI64Sub, opLocalTee, n, opI64Eqz, opI32Eqz, opBrIf, 0,
		opEnd,
		opEnd,
		opEnd,
		opLocalGet, length, opEnd}
}

// growBody is memory.grow. If the engine refuses although the new size is
// within the maximum, the host is short of memory: the depth global says so
// and the canister stops.
//
//	old = memory.grow(delta); if old == -1 && delta <= maximum - memory.size { depth = -1; unreachable }; return old
func (w *rewriter) growBody() []byte {
	const delta, old = 0, 1
	address, minusOne := I32, []byte{opI32Const, 0x7f, opI32Eq}
	if w.wide() {
		address, minusOne = I64, []byte{opI64Const, 0x7f, opI64Eq}
	}
	extend := func(out []byte) []byte {
		if w.wide() {
			return out
		}
		return append(out, opI64ExtendU)
	}
	out := append([]byte{1, 1, byte(address), opLocalGet, delta, opMemoryGrow, 0, opLocalTee, old}, minusOne...)
	out = extend(append(out, opIf, blockVoid, opLocalGet, delta))
	out = appendS64(append(out, opI64Const), int64(w.p.MemoryMax))
	out = extend(append(out, opMemorySize, 0))
	out = append(out, opI64Sub, opI64LeU,
		opIf, blockVoid,
		opI32Const, 0x7f, opGlobalSet)
	out = appendU32(out, w.depth)
	return append(out, opUnreachable, opEnd, opEnd, opLocalGet, old, opEnd)
}

// callbackBody is a function that calls the function at an index of the first
// table with a number. An index that a table of 32 bits cannot have becomes
// one that it has not.
func (w *rewriter) callbackBody() []byte {
	const index, env = 0, 1
	out := []byte{0, opLocalGet, env}
	param := I64
	if !w.wide() {
		out, param = append(out, opI32Wrap), I32
	}
	if w.tables[0].wide {
		out = append(out, opLocalGet, index)
	} else {
		out = append(out, opLocalGet, index, opI32Wrap, opI32Const, 0x7f,
			opLocalGet, index, opI64Const, 32, opI64ShrU, opI64Eqz, opSelect)
	}
	out = appendU32(append(out, opCallIndirect), w.typeOf(FuncType{Params: []ValType{param}}))
	return append(out, 0, opEnd)
}
