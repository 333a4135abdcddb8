package program

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// rewriter holds what the new module has beyond the old one.
type rewriter struct {
	*module
	p          *Program
	newTypes   []FuncType
	added      map[string]uint32 // of newTypes, by FuncType.String
	depth      uint32            // index of the depth global
	helpers    []helper          // functions that come after the module's own
	charge     uint32            // index of the one that spends fuel by an i32 length
	chargeWide uint32            // and by a length as wide as addresses
	grow       uint32            // index of the one that replaces memory.grow
	callback   uint32            // index of the one that calls callbacks
}

// helper is a function that preparation adds.
type helper struct {
	typ  uint32
	code []byte
}

// help adds a function and gives its index.
func (w *rewriter) help(typ FuncType, code []byte) uint32 {
	w.helpers = append(w.helpers, helper{w.typeOf(typ), code})
	return uint32(w.funcCount() + len(w.helpers) - 1)
}

// addHelpers adds what the bodies will call, and the way to callbacks.
func (w *rewriter) addHelpers() {
	if w.p.HasMemory {
		length := FuncType{Params: []ValType{I32}, Results: []ValType{I32}}
		w.charge = w.help(length, w.chargeBody())
		w.chargeWide = w.charge
		address := length
		if w.wide() {
			address = FuncType{Params: []ValType{I64}, Results: []ValType{I64}}
			w.chargeWide = w.help(address, w.chargeWideBody())
		}
		w.grow = w.help(address, w.growBody())
	}
	if w.p.HasTable {
		w.callback = w.help(FuncType{Params: []ValType{I64, I64}}, w.callbackBody())
	}
}

// rewrite writes the prepared module and fills in p.Globals.
func (m *module) rewrite(p *Program) ([]byte, error) {
	w := &rewriter{module: m, p: p, added: make(map[string]uint32), depth: uint32(len(m.globals))}
	w.addHelpers()
	code, err := w.codeSection()
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), magic...)
	out = appendSection(out, typeSection, w.typeSection())
	out = appendSection(out, importSection, w.importSection())
	out = appendSection(out, functionSection, w.functionSection())
	out = appendSection(out, tableSection, w.tableSection())
	out = appendSection(out, memorySection, w.memorySection())
	out = appendSection(out, globalSection, w.globalSection())
	out = appendSection(out, exportSection, w.exportSection())
	out = appendSection(out, elementSection, m.elements)
	if m.dataCount >= 0 {
		out = appendSection(out, dataCountSection, appendU32(nil, uint32(m.dataCount)))
	}
	out = appendSection(out, codeSection, code)
	return appendSection(out, dataSection, w.dataSection()), nil
}

func appendSection(out []byte, id sectionID, contents []byte) []byte {
	if len(contents) == 0 {
		return out
	}
	out = appendU32(append(out, byte(id)), uint32(len(contents)))
	return append(out, contents...)
}

// typeOf is the index of a type, added to the module if it is not there.
func (w *rewriter) typeOf(t FuncType) uint32 {
	key := t.String()
	if i, ok := w.added[key]; ok {
		return i
	}
	i := uint32(len(w.types) + len(w.newTypes))
	w.newTypes, w.added[key] = append(w.newTypes, t), i
	return i
}

func (w *rewriter) typeSection() []byte {
	out := appendU32(nil, uint32(len(w.types)+len(w.newTypes)))
	for _, list := range [][]FuncType{w.types, w.newTypes} {
		for _, t := range list {
			out = appendValTypes(append(out, 0x60), t.Params)
			out = appendValTypes(out, t.Results)
		}
	}
	return out
}

func appendValTypes(out []byte, types []ValType) []byte {
	out = appendU32(out, uint32(len(types)))
	for _, t := range types {
		out = append(out, byte(t))
	}
	return out
}

func (w *rewriter) importSection() []byte {
	if len(w.imports) == 0 {
		return nil
	}
	out := appendU32(nil, uint32(len(w.imports)))
	for _, imp := range w.imports {
		out = appendName(appendName(out, imp.module), imp.name)
		out = appendU32(append(out, 0), imp.typ)
	}
	return out
}

func (w *rewriter) functionSection() []byte {
	out := appendU32(nil, uint32(len(w.funcTypes)+len(w.helpers)))
	for _, t := range w.funcTypes {
		out = appendU32(out, t)
	}
	for _, h := range w.helpers {
		out = appendU32(out, h.typ)
	}
	return out
}

func (w *rewriter) tableSection() []byte {
	if len(w.tables) == 0 {
		return nil
	}
	out := appendU32(nil, uint32(len(w.tables)))
	for _, t := range w.tables {
		out = append(out, t.raw...)
	}
	return out
}

func (w *rewriter) memorySection() []byte {
	if !w.p.HasMemory {
		return nil
	}
	flags := byte(1) // a maximum
	if w.p.Wide {
		flags |= 4
	}
	out := []byte{1, flags}
	return binary.AppendUvarint(binary.AppendUvarint(out, w.p.MemoryMin), w.p.MemoryMax)
}

func (w *rewriter) globalSection() []byte {
	added := uint32(1)
	if w.p.HasClock {
		added++
	}
	out := appendU32(nil, uint32(len(w.globals))+added)
	for _, g := range w.globals {
		mutable := byte(0)
		if g.mutable {
			mutable = 1
			w.p.Globals = append(w.p.Globals, g.typ)
		}
		out = append(append(out, byte(g.typ), mutable), g.init...)
	}
	out = append(out, byte(I32), 1, opI32Const, 0, opEnd) // depth
	if w.p.HasClock {
		w.p.Globals = append(w.p.Globals, I64)
		out = append(out, byte(I64), 1, opI64Const, 0, opEnd)
	}
	return out
}

func (w *rewriter) exportSection() []byte {
	var out []byte
	count := 0
	add := func(name string, kind exportKind, index uint32) {
		out = appendU32(append(appendName(out, name), byte(kind)), index)
		count++
	}
	for _, e := range w.exports {
		add(e.name, e.kind, e.index)
	}
	add(DepthExport, exportGlobal, w.depth)
	n := 0
	for i, g := range w.globals {
		if g.mutable {
			add(GlobalExport(n), exportGlobal, uint32(i))
			n++
		}
	}
	if w.p.HasClock {
		add(GlobalExport(n), exportGlobal, w.depth+1)
	}
	if w.p.HasMemory {
		add(MemoryExport, exportMemory, 0)
	}
	if w.start != nil {
		add(StartExport, exportFunc, *w.start)
	}
	if w.p.HasTable {
		add(CallbackExport, exportFunc, w.callback)
	}
	return append(appendU32(nil, uint32(count)), out...)
}

// dataSection keeps passive segments, and an empty one in place of each active.
func (w *rewriter) dataSection() []byte {
	if len(w.segments) == 0 {
		return nil
	}
	out := appendU32(nil, uint32(len(w.segments)))
	for _, seg := range w.segments {
		out = append(out, 1)
		if !seg.passive {
			out = append(out, 0)
			continue
		}
		out = append(appendU32(out, uint32(len(seg.bytes))), seg.bytes...)
	}
	return out
}

func (w *rewriter) codeSection() ([]byte, error) {
	var out []byte
	work := 0
	for i, b := range w.bodies {
		code, cost, err := w.body(b, w.types[w.funcTypes[i]])
		if work += cost; err == nil && work > maxModuleWork {
			err = &Refusal{Section: sections[codeSection].name, Offset: b.start, Reason: fmt.Sprintf("the functions up to here are more than %d units of work for the compiler together", maxModuleWork)}
		}
		if err != nil {
			err.Reason += " (function " + strconv.Itoa(len(w.imports)+i) + ")"
			return nil, err
		}
		out = append(appendU32(out, uint32(len(code))), code...)
	}
	for _, h := range w.helpers {
		out = append(appendU32(out, uint32(len(h.code))), h.code...)
	}
	return append(appendU32(nil, uint32(len(w.bodies)+len(w.helpers))), out...), nil
}
