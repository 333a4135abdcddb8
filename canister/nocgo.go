//go:build !cgo

package canister

import "errors"

// errNoEngine is what all that would run a module gives in a program that was built without cgo.
var errNoEngine = errors.New("this program was built without cgo and has no engine that runs canisters: build it with CGO_ENABLED=1 and a C compiler")

// Engine runs nothing: the engine is a C library.
type Engine struct{}

// NewEngine gives an error.
func NewEngine(EngineConfig) (*Engine, error) { return nil, errNoEngine }

// Compile gives an error, which is the world's.
func (*Engine) Compile(*Program) (*Module, error) { return nil, errNoEngine }

// Validate gives an error.
func (*Engine) Validate(*Program) error { return errNoEngine }

// Compiled is 0.
func (*Engine) Compiled() uint64 { return 0 }

// Close does nothing.
func (*Engine) Close() {}

// ParseWAT gives an error: the parser of the text format is the engine's.
func ParseWAT([]byte) ([]byte, error) { return nil, errNoEngine }

// Module is a compiled program. There are none.
type Module struct{ Program *Program }

// Canister is a live program. There are none: nothing below gives one.
type Canister struct{}

// Install gives an error.
func Install(Config, *Module, Env, []byte) (*Canister, Outcome, error) {
	return nil, Outcome{}, errNoEngine
}

// Upgrade gives an error.
func Upgrade(Config, *Canister, *Module, Env, []byte, UpgradeOptions) (*Canister, Outcome, error) {
	return nil, Outcome{}, errNoEngine
}

// Restore gives an error.
func Restore(Config, *Module, State) (*Canister, error) { return nil, errNoEngine }

func (*Canister) Module() *Module                              { return nil }
func (*Canister) State() State                                 { return State{} }
func (*Canister) Execute(Env, Input) (Outcome, error)          { return Outcome{}, errNoEngine }
func (*Canister) Query(Env, State, Message) (Outcome, error)   { return Outcome{}, errNoEngine }
func (*Canister) Inspect(Env, State, Message) (Outcome, error) { return Outcome{}, errNoEngine }
func (*Canister) Close() error                                 { return nil }
func (*Canister) CompositeQuery(Env, State, Message, func(Call) (Outcome, error)) (Outcome, error) {
	return Outcome{}, errNoEngine
}
