package program

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestSample(t *testing.T) {
	p, err := Prepare(sample(), testConfig())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Updates, []string{"go"}) || !slices.Equal(p.Queries, []string{"look"}) {
		t.Errorf("methods %v, %v", p.Updates, p.Queries)
	}
	if kind, e := p.Method("look"); e != "canister_query_look" || kind != Query {
		t.Errorf("export %q, kind %v", e, kind)
	}
	if !p.Has(StartExport) || !p.Has(InitExport) || !p.Has(InitializeExport) || !p.HasMemory || p.MemoryMin != 1 || p.MemoryMax != 100 {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(p.Globals, []ValType{I32, I32}) {
		t.Errorf("globals %v", p.Globals)
	}
	want := []Segment{{9, []byte("ab")}, {8, []byte("d")}}
	if !reflect.DeepEqual(p.Segments, want) {
		t.Errorf("segments %v, want %v", p.Segments, want)
	}
	m, err := decode(p.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	if m.start != nil || !m.memory.hasMax || m.memory.max != 100 {
		t.Errorf("prepared: start %v, memory %+v", m.start, m.memory)
	}
	for i, s := range m.segments {
		if !s.passive || i != 1 && len(s.bytes) > 0 {
			t.Errorf("prepared: segment %d is %+v", i, s)
		}
	}
	golden(t, "sample.hex", hex.Dump(p.Wasm))
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update rewrites it; then Version must change if a module released before is prepared "+
			"differently):\n%s", path, got)
	}
}

// TestRefusals has one module for each rule.
func TestRefusals(t *testing.T) {
	manyLocals := slices.Concat([]byte{1}, appendU32(nil, maxLocals+1), []byte{byte(I32), opEnd})
	imports := func(items ...[]byte) []byte { return wasm(typeSection, types, importSection, vec(items...)) }
	exports := func(items ...[]byte) []byte {
		return wasm(typeSection, types, functionSection, vec([]byte{0}, []byte{1}), memorySection, memory1,
			exportSection, vec(items...), codeSection, vec(sized(0, opEnd), sized(0, opLocalGet, 0, opEnd)))
	}
	imp := func(module, field string, rest ...byte) []byte { return slices.Concat(name(module), name(field), rest) }
	var many [][]byte
	for i := range 60 {
		many = append(many, imp("m", fmt.Sprintf("f%03d", i), 0, 0))
	}
	for _, c := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"text", []byte("(module)"), "not a WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "a component, not a core module"},
		{"truncated section", append(slices.Clone(magic), 1, 9, 1), "module section, offset 0x8: truncated: the type section has 9 bytes"},
		{"unknown section", wasm(sectionID(14), []byte{}), "unknown section 14"},
		{"order", wasm(functionSection, vec(), typeSection, vec()), "the type section is repeated or out of order"},
		{"repeated", wasm(typeSection, vec(), typeSection, vec()), "repeated"},
		{"trailing bytes", wasm(typeSection, []byte{0, 0}), "1 bytes more than its contents"},
		{"count beyond bytes", wasm(typeSection, []byte{0xff, 0x3f}), "truncated: 8191 types expected, 0 bytes left"},
		{"count beyond limit", wasm(typeSection, []byte{0xff, 0xff, 0xff, 3}), "8388607 types, the limit is 10000"},
		{"long number", wasm(typeSection, []byte{0xff, 0xff, 0xff, 0xff, 0x1f}), "integer does not fit in 32 bits"},
		{"struct type", wasm(typeSection, vec([]byte{0x5f, 0})), "garbage collection"},
		{"typed reference", wasm(typeSection, vec([]byte{0x60, 1, 0x63, 0, 0})), "typed function references"},
		{"exception reference", wasm(typeSection, vec([]byte{0x60, 1, 0x69, 0})), "exception and continuation types"},
		{"tags", wasm(typeSection, types, tagSection, vec([]byte{0, 0})), "exceptions are not supported"},
		{"bodies missing", wasm(typeSection, types, functionSection, oneFunc), "0 bodies for 1 functions"},

		{"unknown imports", imports(imp("b", "y", 0, 0), imp("a", "x", 0, 0), imp("b", "y", 0, 1)), "unknown imports: a.x, b.y"},
		{"import of another type", imports(imp("host", "f", 0, 1)), "host.f is () -> (), not (i32) -> (i32)"},
		{"import of signs", imports(imp("e\x1b[2J", "a\nb", 0, 0)), `unknown imports: "e\x1b[2J"."a\nb"`},
		{"import of a long name", imports(imp("m", strings.Repeat("é", 1000), 0, 0)), "unknown imports: m." + strings.Repeat("é", 100) + "… (2000 bytes)"},
		{"many imports", wasm(typeSection, types, importSection, vec(many...)), "m.f049 and 10 more"},
		{"imported table of signs", imports(imp("e", "\r", 1, 0x70, 0, 1)), `imported table e."\r"`},
		{"export of signs", exports(exportOf("canister_init\a", 0)), `"canister_init\a": this entry point`},
		{"export of a long name", exports(exportOf("canister_"+strings.Repeat("x", 5000), 0)), `xxx"… (5009 bytes): this entry point`},
		{"public and private", wasm(customSection, name("icp:public a"), customSection, name("icp:private a")), `"icp:public a" and "icp:private a": one name is public or private`},
		{"private and public", wasm(customSection, name("icp:private a"), customSection, name("icp:public a")), `"icp:private a" and "icp:public a"`},
		{"section of signs", wasm(customSection, name("icp:public \v"), customSection, name("icp:public \v")), `"icp:public \v" is repeated`},
		{"both", imports(imp("host", "f", 0, 1), imp("env", "g", 0, 1)), "unknown imports: env.g; imports of a wrong type"},
		{"imported memory", imports(imp("env", "memory", 2, 0, 1)), "imported memory env.memory"},
		{"imported table", imports(imp("env", "t", 1, 0x70, 0, 1)), "imported table env.t"},
		{"imported global", imports(imp("env", "g", 3, 0x7f, 0)), "imported global env.g"},

		{"two memories", wasm(memorySection, vec([]byte{0, 1}, []byte{0, 1})), "2 memories, a canister has one"},
		{"shared memory", wasm(memorySection, vec([]byte{3, 1, 1})), "shared memory"},
		{"64-bit memory over the limit", wasm(memorySection, vec([]byte{4, 101})), "101 pages of 64 KiB at start, the limit is 100"},
		{"64-bit memory beyond all", wasm(memorySection, vec([]byte{4, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40})), "memory of 281474976710657 pages of 64 KiB at least, which is more than the 281474976710656 that addresses reach"},
		{"memory beyond all", wasm(memorySection, vec(append([]byte{0}, appendU32(nil, 65537)...))), "memory of 65537 pages of 64 KiB at least, which is more than the 65536"},
		{"most of a memory beyond all", wasm(memorySection, vec(append([]byte{1, 1}, appendU32(nil, 65537)...))), "memory of 65537 pages of 64 KiB at most"},
		{"memory of more than its most", wasm(memorySection, vec([]byte{1, 2, 1})), "memory of 2 pages of 64 KiB at least and 1 at most"},
		{"two tables together", wasm(tableSection, vec(append([]byte{0x70, 0}, appendU32(nil, 600_000)...), append([]byte{0x70, 0}, appendU32(nil, 600_000)...))), "tables of 1200000 entries together"},
		{"shared 64-bit memory", wasm(memorySection, vec([]byte{7, 1, 1})), "shared memory"},
		{"memory over the limit", wasm(memorySection, vec([]byte{0, 101})), "101 pages of 64 KiB at start, the limit is 100"},
		{"shared table", wasm(tableSection, vec([]byte{0x70, 3, 1, 1})), "shared tables"},
		{"huge 64-bit table", wasm(tableSection, vec(append([]byte{0x70, 4}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1))), "table of 18446744073709551615 entries, the limit is 1000000"},
		{"huge table", wasm(tableSection, vec(append([]byte{0x70, 0}, appendU32(nil, 1_000_001)...))), "the limit is 1000000"},
		{"global of references", wasm(globalSection, vec([]byte{0x70, 1, opRefNull, 0x70, opEnd})), "mutable global 0 is of type funcref"},

		{"table.set", withCode(opTableSet, 0), "table.set: tables are not part of the state and may not be written (function 0)"},
		{"table.init", withCode(prefixMisc, miscTableInit, 0, 0), "table.init: tables"},
		{"table.copy", withCode(prefixMisc, miscTableCopy, 0, 0), "table.copy: tables"},
		{"table.grow", withCode(prefixMisc, miscTableGrow, 0), "table.grow: tables"},
		{"table.fill", withCode(prefixMisc, miscTableFill, 0), "table.fill: tables"},
		{"atomics", withCode(prefixThreads, 0, 2, 0), "threads and atomic instructions"},
		{"relaxed vectors", withCode(prefixSIMD, 0x80, 2), "relaxed vector instruction 0xfd 256"},
		{"collected", withCode(prefixGC, 1), "garbage collection"},
		{"throw", withCode(0x08, 0), "exceptions are not supported"},
		{"call_ref", withCode(0x14, 0), "typed function references"},
		{"unknown instruction", withCode(0x27), "unknown instruction 0x27 (function 0)"},
		{"second memory used", withCode(opMemorySize, 1), "memory 1: a canister has one memory"},
		{"no end", wasm(typeSection, types, functionSection, oneFunc, codeSection, vec(sized(0, 1))), "function without an end"},
		{"early end", withCode(opEnd), "1 bytes after the end of the function"},
		{"call of none", withCode(opCall, 9), "call of function 9, the module has 1"},
		{"global behind the last", withCode(opGlobalGet, 0, 0x1a), "there is no global 0, the module has 0"},
		{"branch beyond the function", withCode(opBr, 1), "branch out of 1 blocks, there are 0"},
		{"branches beyond the function", withCode(opBlock, blockVoid, 0x41, 0, opBrTable, 1, 0, 2, opEnd), "branch out of 2 blocks, there are 1"},
		{"reference to no function", withCode(opRefFunc, 1, 0x1a), "there is no function 1, the module has 1"},
		{"element of no function", wasm(tableSection, vec([]byte{0x70, 0, 1}), elementSection, vec([]byte{0, opI32Const, 0, opEnd, 1, 0})), "there is no function 0, the module has 0"},
		{"export of no global", wasm(exportSection, vec(append(name("g"), byte(exportGlobal), 0))), "is global 0, the module has 0"},
		{"global of no global", wasm(globalSection, vec([]byte{0x7f, 0, opGlobalGet, 0, opEnd})), "there is no global 0, the module has 0"},
		{"data.drop of none", withCode(prefixMisc, miscDataDrop, 0), "there is no data segment 0, the module announces 0"},
		{"locals", wasm(typeSection, types, functionSection, oneFunc, codeSection, vec(sized(manyLocals...))), "50001 locals"},
		{"fill without memory", wasm(typeSection, types, functionSection, oneFunc, codeSection,
			code(0x41, 0, 0x41, 0, 0x41, 0, prefixMisc, miscMemoryFill, 0)), "without memory"},

		{"reserved name", exports(exportOf("lockstep:x", 0)), `"lockstep:x": the prefix "lockstep:" is reserved`},
		{"export twice", exports(exportOf("a", 0), exportOf("a", 0)), `"a" is exported twice`},
		{"method of a type", exports(exportOf("canister_update m", 1)), `"canister_update m": an entry point is () -> (), not (i32) -> (i32)`},
		{"init of a type", exports(exportOf("canister_init", 1)), "an entry point is () -> ()"},
		{"method is memory", exports(append(name("canister_update m"), byte(exportMemory), 0)), "must be a function"},
		{"update and query", exports(exportOf("canister_update m", 0), exportOf("canister_query m", 0)), `exported as "canister_update m" already`},
		{"two spellings", exports(exportOf("canister_update m", 0), exportOf("canister_update_m", 0)), `exported as "canister_update m" already`},
		{"unknown entry point", exports(exportOf("canister_foo", 0)), "this entry point is not supported"},
		{"command", exports(exportOf("_start", 0)), "a WASI command"},
		{"start of a type", wasm(typeSection, types, functionSection, vec([]byte{1}), startSection, []byte{0},
			codeSection, code(opLocalGet, 0)), "the start function is () -> ()"},

		{"segment outside", wasm(memorySection, memory1, dataSection, vec(slices.Concat([]byte{0, opI32Const, 0x7f, opEnd}, sized(1)))),
			"active segment of 1 bytes at 4294967295 lies outside the memory"},
		{"segment by a variable", wasm(memorySection, memory1, globalSection, vec(mutable),
			dataSection, vec(slices.Concat([]byte{0, opGlobalGet, 0, opEnd}, sized(1)))), "not an i32 constant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Prepare(c.wasm, testConfig())
			if _, ok := errors.AsType[*Refusal](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

// TestTruncated cuts the sample everywhere.
func TestTruncated(t *testing.T) {
	whole := sample()
	accepted := 0
	for n := range whole {
		if _, err := Prepare(whole[:n], testConfig()); err == nil {
			accepted++
		}
	}
	// Up to the functions, whose bodies are then missing, a module may end after
	// each section: header, custom, type, import.
	if accepted != 4 {
		t.Errorf("%d prefixes of the sample are modules", accepted)
	}
}

func TestWeight(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  FuncType
		code []byte
		want uint32
	}{
		{"empty", FuncType{}, nil, fixedWeight},
		{"three operands", FuncType{}, []byte{opI32Const, 1, opI32Const, 1, opI32Const, 1, 0x1b, 0x1a}, fixedWeight + 3},
		{"parameters and results", FuncType{[]ValType{I32, I32}, []ValType{I32}}, []byte{opI32Const, 1}, fixedWeight + 2 + 1 + 1},
		{"a vector", FuncType{[]ValType{V128}, nil}, nil, fixedWeight + 2},
		{"after a branch", FuncType{}, []byte{opBlock, blockVoid, opI32Const, 1, opBr, 0, 0x1a, 0x1a, opI32Const, 1, 0x1a, opEnd}, fixedWeight + 1 + 1},
		{"sixteen instructions", FuncType{}, slices.Repeat([]byte{0x01}, 15), fixedWeight + 2},
		{"a call of two results", FuncType{}, []byte{opCall, 0, 0x1a, 0x1a}, fixedWeight + 2},
	} {
		m := &module{types: []FuncType{{Results: []ValType{I32, I64}}}, funcTypes: []uint32{0}, data: append(c.code, opEnd)}
		r := &reader{data: m.data, end: len(m.data)}
		if s := m.survey(r, body{}, c.typ); s.weight != c.want || r.err != nil {
			t.Errorf("%s: weight %d (%v), want %d", c.name, s.weight, r.err, c.want)
		}
	}
}

func TestLEB(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1 << 31, -1 << 31, 1<<63 - 1, -1 << 63} {
		b := appendS64(nil, v)
		r := &reader{data: b, end: len(b)}
		if got := r.sleb(64); got != v || r.err != nil || r.left() != 0 {
			t.Errorf("%d came back as %d (%v)", v, got, r.err)
		}
	}
	for _, c := range []struct {
		bytes []byte
		bits  uint
		ok    bool
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff, 0x07}, 32, true},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 32, false}, // 1<<32 - 1
		{[]byte{0x80, 0x80, 0x80, 0x80, 0x78}, 32, true},
		{[]byte{0x80, 0x80, 0x80, 0x80, 0x70}, 32, false}, // -1<<32
		{[]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, 32, false},
		{[]byte{0x80}, 32, false},
	} {
		r := &reader{data: c.bytes, end: len(c.bytes)}
		if v := r.sleb(c.bits); (r.err == nil) != c.ok {
			t.Errorf("% x: %d, %v", c.bytes, v, r.err)
		}
	}
}

// FuzzPrepare: no input panics, refusals are refusals, and what comes out can
// be read again.
func FuzzPrepare(f *testing.F) {
	f.Add(sample())
	f.Add(withCode(opCall, 0))
	f.Add(wasm(typeSection, types))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Prepare(b, testConfig())
		if err != nil {
			if _, ok := errors.AsType[*Refusal](err); !ok {
				t.Fatalf("error %T %v", err, err)
			}
			return
		}
		if _, err := decode(p.Wasm); err != nil {
			t.Fatalf("the prepared module cannot be read: %v", err)
		}
		if _, err := Prepare(p.Wasm, testConfig()); err == nil {
			t.Fatal("a prepared module can be prepared: its reserved names were not seen")
		}
	})
}
