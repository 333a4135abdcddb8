package canister

import (
	"errors"
	"fmt"

	"lockstep/memstore"
)

// OptLevel is how hard the compiler tries. Results do not depend on it.
type OptLevel string

// The levels of optimisation; the empty one is OptSpeed.
const (
	OptNone         OptLevel = "none"
	OptSpeed        OptLevel = "speed"
	OptSpeedAndSize OptLevel = "speed-and-size"
)

// CallPath is how calls into and out of canisters cross the language boundary.
// Results do not depend on it.
type CallPath string

// The paths; the empty one is CallThin.
const (
	CallThin  CallPath = "thin"  // the engine's C interface
	CallStock CallPath = "stock" // the engine's Go binding: the slow reference
)

// EngineConfig configures an Engine. None of it may change what canisters do.
type EngineConfig struct {
	// CacheDir holds compiled modules; it is made if missing. Empty: compiled
	// modules are kept in this process only. What is in it is trusted as far
	// as its checksums go: it must be writable by the replica alone.
	CacheDir string
	// OptLevel is empty for OptSpeed.
	OptLevel OptLevel
	// CallPath is empty for CallThin.
	CallPath CallPath
}

// Validate reports every fault.
func (c EngineConfig) Validate() error {
	var errs []error
	switch c.OptLevel {
	case "", OptNone, OptSpeed, OptSpeedAndSize:
	default:
		errs = append(errs, fmt.Errorf("OptLevel %q: want %s, %s or %s", c.OptLevel, OptNone, OptSpeed, OptSpeedAndSize))
	}
	switch c.CallPath {
	case "", CallThin, CallStock:
	default:
		errs = append(errs, fmt.Errorf("CallPath %q: want %s or %s", c.CallPath, CallThin, CallStock))
	}
	return errors.Join(errs...)
}

// Config is what canisters run with.
type Config struct {
	Engine  *Engine           // required
	Store   *memstore.Store   // holds the pages of their memories; required
	Tracker memstore.Tracking // how changed pages are found; required
	Limits  Limits            // replicated; what programs were prepared with
}

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	if c.Engine == nil {
		errs = append(errs, errors.New("no Engine"))
	}
	if c.Store == nil {
		errs = append(errs, errors.New("no Store"))
	}
	switch t := c.Tracker.(type) {
	case nil:
		errs = append(errs, errors.New("no Tracker"))
	case memstore.Tracker:
		if _, err := memstore.ParseTracker(string(t)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}
