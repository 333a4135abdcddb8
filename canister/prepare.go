package canister

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// Prepare checks and rewrites a module; see package program. Every error is a
// *program.Refusal, but for limits that are out of bounds. A module that is in
// use under the same limits, by whichever canister, is not prepared again. The
// bytes are the program's from then on and must not change.
func Prepare(wasm []byte, l Limits) (*Program, error) {
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	cfg := l.shape()
	key := preparation{sha256.Sum256(wasm), cfg.MemoryPages, cfg.StackUnits}
	if p, ok := prepared.Load(key); ok {
		if p := p.(weak.Pointer[Program]).Value(); p != nil {
			return p, nil
		}
	}
	cfg.Imports, cfg.Advice, cfg.Waits = systemapi.ImportType, systemapi.ImportAdvice, systemapi.ImportWaits
	p, err := program.Prepare(wasm, cfg)
	if err != nil {
		return nil, err
	}
	used := weak.Make(p)
	prepared.Store(key, used)
	runtime.AddCleanup(p, func(key preparation) { prepared.CompareAndDelete(key, used) }, key)
	return p, nil
}

// preparation is what a program is made from.
type preparation struct {
	module      ModuleHash
	memoryPages uint64
	stackUnits  uint32
}

// prepared holds the programs of this process that something uses: weak pointers by preparation.
var prepared sync.Map

// Program is a prepared module.
type Program = program.Program

// ModuleHash is the SHA-256 of a module's original bytes.
type ModuleHash = program.ModuleHash
