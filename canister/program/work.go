package program

// An optimising compiler is not linear in the length of a function. Where paths meet it makes a value for each local that may
// differ between them, and around loops before it knows which it needs; its time grows with the square of the number of such
// values, of blocks, of loops and of indirect calls. A module of 9 KB can so cost it minutes and gigabytes, or its life. So
// preparation counts units of work as it walks over a body and refuses what passes a limit before the engine sees it. A unit is
// about an instruction, which takes it 4 or 5 microseconds; what is squared was measured.
//
//	function                        50 + locals/16 + (parameters+results)²/16
//	block, if, else, br, br_if      4 + locals/4 + carried
//	a target of br_table            8 + locals/4 + carried
//	loop                            4 + (loops around it + 1) × (1 + locals/4 + carried + locals²/1024)
//	end where paths meet            1 + merged
//	call                            4 + 2 × (parameters + results); 4 more if indirect
//	growing, bulk memory            8
//	any other                       1
//	all together, beside that       merged²/5000 + blocks²/2500 + loops²/100 + (indirect calls)²/150
//
// where locals are parameters too, carried are the values that a block takes and gives or a branch takes along, and merged bounds
// the locals that are set within a block, if or loop: their number, and how often any is set. The largest functions of real
// programs, the main loops of interpreters, are a third of what a function may be.
const (
	maxFunctionWork = 500_000
	maxModuleWork   = 24_000_000
)

// work is what the compiler has to do for a function so far.
type work struct {
	linear                          int
	merged, blocks, loops, indirect int
}

// functionWork is that of a function without instructions.
func functionWork(locals int, typ FuncType) work {
	values := len(typ.Params) + len(typ.Results)
	return work{linear: 50 + locals/16 + values*values/16}
}

func (c *work) units() int {
	return c.linear + c.merged*c.merged/5000 + c.blocks*c.blocks/2500 + c.loops*c.loops/100 + c.indirect*c.indirect/150
}

// add adds an instruction of a function with so many locals. The walker is before it.
func (c *work) add(m *module, w *walker, in instruction, locals int) {
	units := 1
	switch in.op {
	case opBlock, opIf, opElse:
		units = 4 + locals/4 + in.block.params + in.block.results
		c.blocks++
	case opLoop:
		units = 4 + (w.loops+1)*(1+locals/4+in.block.params+in.block.results+locals*locals/1024)
		c.loops++
	case opBr, opBrIf:
		units = 4 + locals/4 + w.branch(int(in.index), false)
	case opBrTable:
		units = in.targets * (8 + locals/4 + w.branch(int(in.index), true))
	case opEnd:
		if w.meets() {
			merged := min(locals, w.sets-w.top().sets)
			units += merged
			c.merged += merged
		}
	case opLocalSet, opLocalTee:
		w.sets++
	case opCall, opReturnCall:
		t := m.calleeType(in)
		units = 4 + 2*(len(t.Params)+len(t.Results))
	case opCallIndirect, opReturnCallIndirect:
		t := m.calleeType(in)
		units = 8 + 2*(len(t.Params)+len(t.Results))
		c.indirect++
	case opMemoryGrow:
		units = 8
	case prefixMisc:
		if in.sub >= miscMemoryInit {
			units = 8
		}
	}
	c.linear += units
}

// branch notes a branch to a label, or also to labels within it, and tells how many values it takes along.
func (w *walker) branch(label int, within bool) int {
	at := len(w.frames) - 1 - label
	f := &w.frames[at]
	f.met = true
	if within {
		w.table = min(w.table, at)
	}
	if f.loop {
		return f.block.params
	}
	return f.block.results
}

// meets tells whether paths may meet at the end of the innermost block.
func (w *walker) meets() bool {
	if top := len(w.frames) - 1; top < w.table {
		w.table = noTable
	}
	return w.top().met || w.table != noTable
}
