//go:build cgo

package canister

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// engineVersion names the engine that compiled modules belong to.
const engineVersion = "wasmtime-39.0.1"

// Engine compiles and runs modules. One serves a whole replica; its methods
// may be called at the same time.
type Engine struct {
	config EngineConfig
	engine *wasmtime.Engine
	linker *wasmtime.Linker // for modules with a 32-bit memory, or none
	wide   *wasmtime.Linker // for modules with a 64-bit memory

	// mu guards modules, nil once the engine is closed; compiling are the calls of Compile under way.
	mu        sync.Mutex
	modules   map[cacheKey]*compilation
	compiling sync.WaitGroup
	compiled  atomic.Uint64
}

// NewEngine starts an engine. It installs the engine's signal handlers in the
// process, ahead of those of memstore.
func NewEngine(c EngineConfig) (*Engine, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("engine configuration: %w", err)
	}
	if err := checkNativeStack(); err != nil {
		return nil, err
	}
	engine := wasmtime.NewEngineWithConfig(c.wasmtime())
	e := &Engine{config: c, engine: engine, modules: make(map[cacheKey]*compilation)}
	var err error
	if e.linker, err = newLinker(engine, c.CallPath, false); err == nil {
		if e.wide, err = newLinker(engine, c.CallPath, true); err == nil {
			return e, nil
		}
		e.linker.Close()
	}
	engine.Close()
	return nil, err
}

func (e *Engine) linkerFor(p *Program) *wasmtime.Linker {
	if p.Wide {
		return e.wide
	}
	return e.linker
}

// wasmtime is the engine's configuration: what decides results is fixed here,
// whatever the engine's defaults become.
func (c EngineConfig) wasmtime() *wasmtime.Config {
	cfg := wasmtime.NewConfig()
	cfg.SetStrategy(wasmtime.StrategyCranelift)
	cfg.SetConsumeFuel(true)
	cfg.SetCraneliftNanCanonicalization(true)
	cfg.SetWasmThreads(false)
	cfg.SetWasmRelaxedSIMD(false)
	cfg.SetWasmRelaxedSIMDDeterministic(true)
	cfg.SetWasmSIMD(true)
	cfg.SetWasmBulkMemory(true)
	cfg.SetWasmMultiValue(true)
	cfg.SetWasmReferenceTypes(true)
	cfg.SetWasmTailCall(true)
	cfg.SetWasmMultiMemory(false)
	cfg.SetWasmMemory64(true)
	cfg.SetWasmFunctionReferences(false)
	cfg.SetWasmGC(false)
	cfg.SetWasmWideArithmetic(false)
	cfg.SetEpochInterruption(false)
	cfg.SetMaxWasmStack(program.NativeStackBytes)
	cfg.SetMemoryInitCOWSet(false) // memstore maps the memory
	switch c.OptLevel {
	case OptNone:
		cfg.SetCraneliftOptLevel(wasmtime.OptLevelNone)
	case OptSpeedAndSize:
		cfg.SetCraneliftOptLevel(wasmtime.OptLevelSpeedAndSize)
	default:
		cfg.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	}
	return cfg
}

// Close frees the engine and the modules it compiled, when those that are being
// compiled are. Canisters that run on it must have been closed.
func (e *Engine) Close() {
	e.mu.Lock()
	modules := e.modules
	e.modules = nil
	e.mu.Unlock()
	e.compiling.Wait()
	for _, c := range modules {
		if c.module != nil {
			c.module.compiled.Close()
		}
	}
	e.linker.Close()
	e.wide.Close()
	e.engine.Close()
}

// ParseWAT turns the text format into the binary one.
func ParseWAT(text []byte) ([]byte, error) {
	wasm, err := wasmtime.Wat2Wasm(string(text))
	if err != nil {
		return nil, fmt.Errorf("parse WebAssembly text: %w", err)
	}
	return wasm, nil
}

// Module is a compiled program. It belongs to its engine and may be used by
// many canisters at once.
type Module struct {
	Program  *Program
	compiled *wasmtime.Module
}
