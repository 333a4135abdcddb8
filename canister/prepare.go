package canister

import (
	"fmt"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// Prepare checks and rewrites a module; see package program. Every error is a
// *program.Refusal, but for limits that are out of bounds.
func Prepare(wasm []byte, l Limits) (*Program, error) {
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	cfg := l.shape()
	cfg.Imports, cfg.Advice, cfg.Waits = systemapi.ImportType, systemapi.ImportAdvice, systemapi.ImportWaits
	return program.Prepare(wasm, cfg)
}

// Program is a prepared module.
type Program = program.Program

// ModuleHash is the SHA-256 of a module's original bytes.
type ModuleHash = program.ModuleHash
