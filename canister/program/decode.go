package program

func (m *module) decodeImports(s *reader) {
	for n := s.count("imports", maxImports); n > 0 && s.err == nil; n-- {
		at := s.pos
		imp := importedFunc{module: s.name(), name: s.name(), offset: at}
		kind := s.u8()
		if s.err != nil {
			return
		}
		switch kind {
		case 0:
			imp.typ = m.typeIndex(s)
			m.imports = append(m.imports, imp)
		case 1:
			s.failAt(at, "imported table %s: a canister has its own, link without --import-table", imp)
		case 2:
			s.failAt(at, "imported memory %s: a canister has its own, link without --import-memory", imp)
		case 3:
			s.failAt(at, "imported global %s: a canister has its own", imp)
		case 4:
			s.failAt(at, "imported tag %s: exceptions are not supported, build without them", imp)
		default:
			s.failAt(at, "import %s of unknown kind %d", imp, kind)
		}
	}
}

func (m *module) decodeTables(s *reader) {
	var total uint64
	for n := s.count("tables", maxTables); n > 0 && s.err == nil; n-- {
		at := s.pos
		if s.left() > 0 && s.data[s.pos] == 0x40 {
			s.fail("tables with an initial value (function references) are not supported")
			return
		}
		t := table{ref: s.refType()}
		switch flags := s.u8(); flags {
		case 0, 1, 4, 5:
			t.wide = flags&4 != 0
			if t.min = s.limit(t.wide); flags&1 != 0 {
				s.limit(t.wide)
			}
		case 2, 3, 6, 7:
			s.failAt(at, "shared tables are not supported")
		default:
			s.failAt(at, "unknown table limits %#x", flags)
		}
		if t.min > maxTableEntries {
			s.failAt(at, "table of %d entries, the limit is %d", t.min, maxTableEntries)
		} else if total += t.min; total > maxTableEntries {
			s.failAt(at, "tables of %d entries together, the limit is %d", total, maxTableEntries)
		}
		if s.err == nil {
			t.raw = s.data[at:s.pos]
			m.tables = append(m.tables, t)
		}
	}
}

func (m *module) decodeMemories(s *reader) {
	n := s.count("memories", maxParams)
	if n > 1 {
		s.fail("%d memories, a canister has one", n)
	}
	if n == 0 || s.err != nil {
		return
	}
	at := s.pos
	mem := &memory{}
	switch flags := s.u8(); flags {
	case 0, 1, 4, 5:
		mem.wide = flags&4 != 0
		mem.min = s.limit(mem.wide)
		if mem.hasMax = flags&1 != 0; mem.hasMax {
			mem.max = s.limit(mem.wide)
		}
	case 2, 3, 6, 7:
		s.failAt(at, "shared memory is not supported: build without threads")
	default:
		s.failAt(at, "unknown memory limits %#x", flags)
	}
	most := uint64(1 << 16) // pages that addresses reach
	if mem.wide {
		most = 1 << 48
	}
	switch {
	case mem.min > most:
		s.failAt(at, "memory of %d pages of 64 KiB at least, which is more than the %d that addresses reach", mem.min, most)
	case mem.max > most:
		s.failAt(at, "memory of %d pages of 64 KiB at most, which is more than the %d that addresses reach", mem.max, most)
	case mem.hasMax && mem.min > mem.max:
		s.failAt(at, "memory of %d pages of 64 KiB at least and %d at most", mem.min, mem.max)
	}
	m.memory = mem
}

// limit reads a bound of a table or memory.
func (r *reader) limit(wide bool) uint64 {
	if wide {
		return r.leb(64)
	}
	return uint64(r.u32())
}

func (m *module) decodeGlobals(s *reader) {
	for n := s.count("globals", maxGlobals); n > 0 && s.err == nil; n-- {
		g := global{offset: s.pos}
		g.typ = s.valType()
		switch mut := s.u8(); mut {
		case 0:
		case 1:
			g.mutable = true
		default:
			s.failAt(g.offset, "unknown mutability %#x (shared globals are not supported)", mut)
		}
		g.init = s.constExpr(m, len(m.globals))
		m.globals = append(m.globals, g)
	}
}

func (m *module) decodeExports(s *reader) {
	seen := make(map[string]bool)
	for n := s.count("exports", maxExports); n > 0 && s.err == nil; n-- {
		e := export{offset: s.pos}
		e.name = s.name()
		e.kind, e.index = exportKind(s.u8()), s.u32()
		if s.err != nil {
			return
		}
		if seen[e.name] {
			s.failAt(e.offset, "%s is exported twice", quoted(e.name))
		}
		seen[e.name] = true
		if e.kind > exportGlobal {
			s.failAt(e.offset, "export %s of unknown kind %d", quoted(e.name), e.kind)
		}
		if e.kind == exportFunc && int(e.index) >= m.funcCount() {
			s.failAt(e.offset, "export %s is function %d, the module has %d", quoted(e.name), e.index, m.funcCount())
		}
		if e.kind == exportGlobal && int(e.index) >= len(m.globals) {
			s.failAt(e.offset, "export %s is global %d, the module has %d", quoted(e.name), e.index, len(m.globals))
		}
		m.exports = append(m.exports, e)
	}
}

// decodeElements walks over the segments to bound them and keeps the bytes.
func (m *module) decodeElements(s *reader) {
	start := s.pos
	m.elemCount = s.count("element segments", maxSegments)
	for n := m.elemCount; n > 0 && s.err == nil; n-- {
		m.decodeElement(s)
	}
	if s.err == nil {
		m.elements = s.data[start:s.pos]
	}
}

func (m *module) decodeElement(s *reader) {
	at := s.pos
	flags := s.u32()
	if flags > 7 {
		s.failAt(at, "unknown element segment %d", flags)
		return
	}
	active, explicit, exprs := flags&1 == 0, flags&2 != 0, flags&4 != 0
	if active && explicit {
		s.u32()
	}
	if active {
		s.constExpr(m, len(m.globals))
	}
	if flags&3 != 0 { // a kind or type is written
		if exprs {
			s.refType()
		} else if kind := s.u8(); kind != 0 {
			s.fail("unknown element kind %d", kind)
		}
	}
	n := s.count("elements", maxElements)
	if m.elemValues += n; m.elemValues > maxElements {
		s.failAt(at, "element segments of %d elements together, the limit is %d", m.elemValues, maxElements)
	}
	for ; n > 0 && s.err == nil; n-- {
		if exprs {
			s.constExpr(m, len(m.globals))
		} else {
			s.funcIndex(m)
		}
	}
}

func (m *module) decodeBodies(s *reader) {
	for n := s.count("bodies", maxFunctions); n > 0 && s.err == nil; n-- {
		at := s.pos
		size := s.u32()
		if size > maxBodyBytes {
			s.failAt(at, "function body of %d bytes, the limit is %d", size, maxBodyBytes)
			return
		}
		start := s.pos
		s.take(uint64(size))
		if s.err != nil {
			return
		}
		m.bodies = append(m.bodies, decodeLocals(s, start))
	}
}

// decodeLocals reads the declarations of the body that lies from start to s.pos.
func decodeLocals(s *reader, start int) body {
	b := &reader{data: s.data, pos: start, end: s.pos, section: s.section}
	var total uint64
	vector := false
	for n := b.count("groups of locals", maxLocals); n > 0 && b.err == nil; n-- {
		at := b.pos
		if total += uint64(b.u32()); total > maxLocals {
			b.failAt(at, "%d locals in one function, the limit is %d", total, maxLocals)
		}
		vector = b.valType() == V128 || vector
	}
	if b.err != nil {
		s.err, s.pos = b.err, s.end
	}
	return body{locals: s.data[start:max(start, min(b.pos, s.end))], localCount: int(total), v128: vector,
		start: b.pos, end: b.end}
}

func (m *module) decodeSegments(s *reader) {
	for n := s.count("data segments", maxSegments); n > 0 && s.err == nil; n-- {
		seg := segment{at: s.pos}
		switch flags := s.u32(); flags {
		case 0:
		case 1:
			seg.passive = true
		case 2:
			if index := s.u32(); index != 0 {
				s.failAt(seg.at, "data for memory %d, a canister has one", index)
			}
		default:
			s.failAt(seg.at, "unknown data segment %d", flags)
		}
		if !seg.passive {
			seg.offset = s.constExpr(m, len(m.globals))
		}
		seg.bytes = s.take(uint64(s.u32()))
		m.segments = append(m.segments, seg)
	}
}
