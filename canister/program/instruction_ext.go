package program

var tableWrites = map[uint32]string{
	miscTableInit: "table.init",
	miscTableCopy: "table.copy",
	miscTableGrow: "table.grow",
	miscTableFill: "table.fill",
}

// nextMisc decodes what follows prefix 0xfc: saturating conversions and bulk
// memory.
func (m *module) nextMisc(r *reader, in *instruction) {
	in.sub = r.u32()
	if name, ok := tableWrites[in.sub]; ok {
		r.failAt(in.start, "%s: tables are not part of the state and may not be written", name)
		return
	}
	switch sub := in.sub; {
	case sub <= 7:
		in.pops, in.push = 1, 1
	case sub == miscMemoryInit:
		in.index, in.pops = m.dataIndex(r, in.start), 3
		r.memIndex()
	case sub == miscDataDrop:
		in.index = m.dataIndex(r, in.start)
	case sub == miscMemoryCopy:
		r.memIndex()
		r.memIndex()
		in.pops = 3
	case sub == miscMemoryFill:
		r.memIndex()
		in.pops = 3
	case sub == miscElemDrop:
		if in.index = r.u32(); r.err == nil && int(in.index) >= m.elemCount {
			r.failAt(in.start, "there is no element segment %d, the module has %d", in.index, m.elemCount)
		}
	case sub == miscTableSize:
		r.u32()
		in.push = 1
	case sub >= 19 && sub <= 22:
		r.failAt(in.start, "128-bit arithmetic (0xfc %d) is not supported: build without it", sub)
	default:
		r.failAt(in.start, "unknown instruction 0xfc %d", sub)
	}
}

// dataIndex reads the index of a data segment. It is checked against the count
// announced ahead of the code, without which the instruction is invalid.
func (m *module) dataIndex(r *reader, at int) uint32 {
	i := r.u32()
	if r.err == nil && (m.dataCount < 0 || int(i) >= m.dataCount) {
		r.failAt(at, "there is no data segment %d, the module announces %d", i, max(0, m.dataCount))
	}
	return i
}

// simdUnary lists the vector instructions from 94 on that take one operand;
// the others take two.
var simdUnary = func() (t [256]bool) {
	for _, span := range [][2]int{{94, 100}, {103, 106}, {116, 117}, {122, 122}, {124, 129}, {131, 132}, {135, 138},
		{148, 148}, {160, 161}, {163, 164}, {167, 170}, {192, 193}, {195, 196}, {199, 202}, {224, 225}, {227, 227},
		{236, 237}, {239, 239}, {248, 255}} {
		for i := span[0]; i <= span[1]; i++ {
			t[i] = true
		}
	}
	return t
}()

// nextSIMD decodes what follows prefix 0xfd.
func nextSIMD(r *reader, in *instruction) {
	in.sub = r.u32()
	in.pops, in.push = 1, 1
	switch sub := in.sub; {
	case sub <= 10 || sub == 92 || sub == 93: // loads
		r.memArg()
	case sub == 11: // v128.store
		r.memArg()
		in.pops, in.push = 2, 0
	case sub == simdConst:
		r.take(16)
		in.pops = 0
	case sub == 13: // i8x16.shuffle
		r.take(16)
		in.pops = 2
	case sub == 14: // i8x16.swizzle
		in.pops = 2
	case sub <= 20: // splats
	case sub <= 34: // extract_lane, replace_lane
		r.u8()
		if sub == 23 || sub >= 26 && sub%2 == 0 {
			in.pops = 2
		}
	case sub == 77 || sub == 83: // not, any_true
	case sub <= 81:
		in.pops = 2
	case sub == 82: // bitselect
		in.pops = 3
	case sub <= 91: // load and store lane
		r.memArg()
		r.u8()
		if in.pops = 2; sub >= 88 {
			in.push = 0
		}
	case sub <= 255:
		if !simdUnary[sub] {
			in.pops = 2
		}
	default:
		r.failAt(in.start, "relaxed vector instruction 0xfd %d is not supported: processors disagree on its result, build without relaxed SIMD", sub)
	}
}
