package spec_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

const stackUnits = 1 << 16

func newEngine() *wasmtime.Engine {
	c := wasmtime.NewConfig()
	c.SetCraneliftNanCanonicalization(true)
	c.SetCraneliftOptLevel(wasmtime.OptLevelNone)
	c.SetWasmTailCall(true)
	c.SetWasmThreads(false)
	c.SetWasmRelaxedSIMD(false)
	c.SetWasmMultiMemory(false)
	c.SetWasmMemory64(false)
	c.SetWasmFunctionReferences(false)
	c.SetWasmGC(false)
	c.SetMaxWasmStack(stackUnits * program.NativeStackBytes / program.MaxStackUnits)
	return wasmtime.NewEngineWithConfig(c)
}

// stage is a script being played.
type stage struct {
	t       *testing.T
	engine  *wasmtime.Engine
	sum     *tally
	script  string
	line    int
	current *pair // nil if the module was refused
	named   map[string]*pair
	open    []*pair
}

func (s *stage) close() {
	for _, p := range s.open {
		p.original.store.Close()
		p.prepared.store.Close()
	}
}

func (s *stage) errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("line %d: %s", s.line, fmt.Sprintf(format, args...))
}

// pair is a module as it came and as preparation left it.
type pair struct {
	original, prepared *side
	drops              bool // has an instruction data.drop
	parted             bool // by a documented difference, or by other modules that share its state
}

// side is one of the two instances.
type side struct {
	store  *wasmtime.Store
	inst   *wasmtime.Instance
	memory *wasmtime.Memory          // nil if there is none, or none exported
	funcs  map[string]*wasmtime.Func // by name, as called before
}

// hostFuncs are what the suite's modules import as functions.
var hostFuncs = map[string][]program.ValType{
	"print": nil, "print_i32": {program.I32}, "print_i64": {program.I64}, "print_f32": {program.F32}, "print_f64": {program.F64},
	"print_i32_f32": {program.I32, program.F32}, "print_f64_f64": {program.F64, program.F64},
}

func (s *stage) prepare(wasm []byte) (*program.Program, error) {
	return program.Prepare(wasm, program.Config{MemoryPages: 1 << 16, StackUnits: stackUnits,
		Imports: func(module, name string, _ bool) (program.FuncType, bool) {
			params, ok := hostFuncs[name]
			return program.FuncType{Params: params}, ok && module == "spectest"
		}})
}

// load makes both instances, nil if preparation refuses the module. With a
// reason both must fail to start for it.
func (s *stage) load(wasm []byte, reason string) *pair {
	p, err := s.prepare(wasm)
	if err != nil {
		s.sum.refused[classOf(err)]++
		return nil
	}
	two := &pair{drops: bytes.Contains(wasm, []byte{0xfc, 0x09})}
	var first, second error
	two.original, first = s.start(wasm, nil)
	two.prepared, second = s.start(p.Wasm, p)
	s.open = append(s.open, two)
	s.sum.modules++
	if endOf(first) != endOf(second) || (first != nil) != (reason != "") {
		s.errorf("the original starts with %q, the prepared module with %q, expected %q", endOf(first), endOf(second), reason)
		return nil
	}
	if first == nil {
		s.compare(two)
	}
	return two
}

// start instantiates a module, and does for a prepared one what its installer does.
func (s *stage) start(wasm []byte, p *program.Program) (*side, error) {
	store := wasmtime.NewStore(s.engine)
	this := &side{store: store, funcs: make(map[string]*wasmtime.Func)}
	module, err := wasmtime.NewModule(s.engine, wasm)
	if err != nil {
		s.errorf("the engine refuses what preparation took: %v", err)
		return this, err
	}
	defer module.Close()
	linker := wasmtime.NewLinker(s.engine)
	defer linker.Close()
	linker.AllowShadowing(true) // a module may import one function twice
	for _, imp := range module.Imports() {
		f := wasmtime.NewFunc(store, imp.Type().FuncType(), func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
			return nil, nil
		})
		if err := linker.Define(store, imp.Module(), *imp.Name(), f); err != nil {
			s.t.Fatal(err)
		}
	}
	if this.inst, err = linker.Instantiate(store, module); err != nil {
		return this, err
	}
	for _, e := range module.Exports() {
		if e.Type().MemoryType() != nil {
			this.memory = this.inst.GetExport(store, e.Name()).Memory()
		}
	}
	if p == nil {
		return this, nil
	}
	for _, seg := range p.Segments {
		copy(this.memory.UnsafeData(store)[seg.Offset:], seg.Bytes)
	}
	if p.Has(program.StartExport) {
		_, err = this.inst.GetFunc(store, program.StartExport).Call(store)
	}
	return this, err
}

var numbers = regexp.MustCompile(`[0-9]+|"[^"]*"`)

// classOf is a refusal without its particulars.
func classOf(err error) string {
	var r *program.Refusal
	if !errors.As(err, &r) {
		return "not a refusal: " + err.Error()
	}
	reason, _, _ := strings.Cut(r.Reason, " (function ")
	if strings.HasPrefix(reason, "unknown imports") {
		reason = "unknown imports"
	} else if _, of, ok := strings.Cut(reason, ": a canister has its own"); ok && of == "" {
		reason = strings.Join(strings.Fields(reason)[:2], " ") // without the names
	}
	return numbers.ReplaceAllString(r.Section+": "+reason, "N")
}

// tolerated are faults, by script and text, that preparation mends. An offset
// may read an immutable global of the module itself, as in WebAssembly 3.0. The
// start function is exported, which declares it for ref.func.
var tolerated = map[string]*regexp.Regexp{
	"data.json":     regexp.MustCompile("^unknown global$"),
	"ref_func.json": regexp.MustCompile("^undeclared function reference$"),
}

// mustRefuse takes an invalid module: preparation refuses it, or the engine
// refuses what preparation made of it. Some have become valid since.
func (s *stage) mustRefuse(c command, wasm []byte) {
	p, err := s.prepare(wasm)
	if err == nil {
		err = wasmtime.ModuleValidate(s.engine, p.Wasm)
	}
	switch {
	case err != nil:
		s.sum.invalid++
	case wasmtime.ModuleValidate(s.engine, wasm) == nil:
		s.sum.outdated++
	case tolerated[s.script] != nil && tolerated[s.script].MatchString(c.Text):
		s.sum.tolerated++
	default:
		s.errorf("an invalid module was taken: %s", c.Text)
	}
}

// act calls a function, or reads a global, on both sides.
func (s *stage) act(c command) {
	two := s.current
	if c.Action.Module != "" {
		two = s.named[c.Action.Module]
	}
	if two == nil || two.parted || hasReference(c.Action.Args) || hasReference(c.Expected) {
		s.sum.skipped++
		return
	}
	first, firstErr := s.perform(two.original, c.Action)
	second, secondErr := s.perform(two.prepared, c.Action)
	a, b := endOf(firstErr), endOf(secondErr)
	if two.drops && a != b && strings.HasPrefix(a, "out of bounds") {
		two.parted = true
		s.sum.different = append(s.sum.different, fmt.Sprintf("%s line %d: %s is no trap after preparation: data.drop does nothing", s.script, c.Line, a))
		return
	}
	wantTrap := c.Type == "assert_trap" || c.Type == "assert_exhaustion"
	switch {
	case a != b:
		s.errorf("%s ends with %q and, prepared, with %q", c.Action.Field, a, b)
	case wantTrap && (a == "" || !strings.HasPrefix(c.Text, a) && !strings.HasPrefix(a, c.Text)):
		s.errorf("%s ends with %q, expected %q", c.Action.Field, b, c.Text)
	case !wantTrap && a != "":
		s.errorf("%s ends with %q", c.Action.Field, b)
	case !equalBits(first, second):
		s.errorf("%s gives %x and, prepared, %x", c.Action.Field, first, second)
	case c.Type == "assert_return" && !isExpected(second, c.Expected):
		s.errorf("%s gives %x, expected %s", c.Action.Field, second, c.Expected)
	default:
		s.compare(two)
		s.sum.assertions++
	}
}

// compare looks at the memories, and at the globals that the original exports.
func (s *stage) compare(two *pair) {
	a, b := two.original, two.prepared
	if a.memory != nil && !bytes.Equal(a.memory.UnsafeData(a.store), b.memory.UnsafeData(b.store)) {
		s.errorf("the memories differ")
	}
}

// endOf is how an execution ended: "" if it returned, else the kind of trap. A
// prepared module stops an endless recursion by unreachable, with the depth
// beyond the limit, which perform has translated.
func endOf(err error) string {
	if err == nil {
		return ""
	}
	trap, ok := errors.AsType[*wasmtime.Trap](err)
	if !ok || trap.Code() == nil {
		return err.Error()
	}
	text := trap.Message()
	if i := strings.LastIndex(text, "wasm trap: "); i >= 0 {
		text = text[i+len("wasm trap: "):]
	}
	text, _, _ = strings.Cut(text, "\n")
	for engine, suite := range map[string]string{
		"wasm `unreachable` instruction executed":       "unreachable",
		"undefined element: out of bounds table access": "undefined element",
		"uninitialized element":                         "uninitialized element",
	} {
		if strings.Contains(text, engine) {
			return suite
		}
	}
	return text
}
