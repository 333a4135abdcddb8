package program

import "slices"

// vec writes a vector of items that are encoded already.
func vec(items ...[]byte) []byte {
	return append(appendU32(nil, uint32(len(items))), slices.Concat(items...)...)
}

func name(s string) []byte { return appendName(nil, s) }

func sized(b ...byte) []byte { return append(appendU32(nil, uint32(len(b))), b...) }

// wasm joins sections, each given as its number and contents.
func wasm(parts ...any) []byte {
	out := slices.Clone(magic)
	for i := 0; i < len(parts); i += 2 {
		contents := parts[i+1].([]byte)
		out = appendU32(append(out, byte(parts[i].(sectionID))), uint32(len(contents)))
		out = append(out, contents...)
	}
	return out
}

var (
	nullary = []byte{0x60, 0, 0}                            // () -> ()
	unary   = []byte{0x60, 1, byte(I32), 1, byte(I32)}      // (i32) -> (i32)
	pair    = []byte{0x60, 0, 2, byte(I32), byte(I64)}      // () -> (i32 i64)
	types   = vec(nullary, unary, pair)                     // as above, 0 to 2
	oneFunc = vec([]byte{0})                                // a function of type 0
	memory1 = vec([]byte{1, 1, 2})                          // 1 to 2 pages
	mutable = []byte{byte(I32), 1, opI32Const, 7, opEnd}    // mutable i32, 7
	fixed   = []byte{byte(I32), 0, opI32Const, 5, opEnd}    // immutable i32, 5
	memExp  = append(name("memory"), byte(exportMemory), 0) // export of the memory
)

func exportOf(n string, index byte) []byte { return append(name(n), byte(exportFunc), index) }

// code is a code section with one body of the given instructions.
func code(instructions ...byte) []byte {
	return vec(sized(append([]byte{0}, append(instructions, opEnd)...)...))
}

// withCode is a module with one function of type () -> ().
func withCode(instructions ...byte) []byte {
	return wasm(typeSection, types, functionSection, oneFunc, memorySection, memory1, codeSection, code(instructions...))
}

// sample is a module with everything that preparation touches.
func sample() []byte {
	calls := sized(append([]byte{1, 1, byte(I64)}, // one local
		opLoop, blockVoid,
		opI32Const, 1, opIf, blockVoid, opReturn, opEnd,
		opCall, 1,
		opEnd,
		opI32Const, 0, opI32Const, 0, opI32Const, 1, prefixMisc, miscMemoryInit, 1, 0,
		prefixMisc, miscDataDrop, 1,
		prefixMisc, miscElemDrop, 0,
		opI32Const, 0, opI32Const, 0, opI32Const, 1, prefixMisc, miscMemoryFill, 0,
		opI32Const, 1, opMemoryGrow, 0, 0x1a,
		opReturnCall, 1, opEnd)...)
	results := sized(0, opCall, 3, opEnd)
	leaf := sized(0, opI32Const, 1, opI64Const, 2, opReturn, opEnd)
	return wasm(
		customSection, append(name("producers"), 1, 2, 3),
		typeSection, types,
		importSection, vec(slices.Concat(name("host"), name("f"), []byte{0, 0})),
		functionSection, vec([]byte{0}, []byte{2}, []byte{2}),
		tableSection, vec([]byte{byte(FuncRef), 0, 2}),
		memorySection, vec([]byte{0, 1}),
		globalSection, vec(mutable, fixed, mutable),
		exportSection, vec(memExp, exportOf("canister_update go", 1), exportOf("canister_query_look", 1),
			exportOf("canister_init", 1), exportOf("_initialize", 0)),
		startSection, []byte{1},
		elementSection, vec([]byte{0, opI32Const, 0, opEnd, 1, 1}),
		dataCountSection, []byte{3},
		codeSection, vec(calls, results, leaf),
		dataSection, vec(slices.Concat([]byte{0, opI32Const, 9, opEnd}, sized('a', 'b')),
			append([]byte{1}, sized('c')...),
			slices.Concat([]byte{0, opGlobalGet, 1, opI32Const, 3, opI32Add, opEnd}, sized('d'))))
}

func testConfig() Config {
	return Config{MemoryPages: 100, StackUnits: 5000, Imports: func(module, name string, _ bool) (FuncType, bool) {
		return FuncType{}, module == "host" && name == "f"
	}}
}
