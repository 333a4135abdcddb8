package canister

import (
	"errors"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// trapCode is a reason to stop as the engine's C interface numbers it
// (wasmtime/trap.h). The numbers of the Go binding are older and differ from
// alwaysTraps on.
type trapCode uint8

const (
	trapStackOverflow trapCode = 0
	trapUnreachable   trapCode = 9
	trapOutOfFuel     trapCode = 12
)

// trapTexts are the traps that a canister can cause; any other is a failure of
// the world.
var trapTexts = map[trapCode]string{
	1:               "out of bounds memory access",
	3:               "out of bounds table access",
	4:               "indirect call to null",
	5:               "indirect call type mismatch",
	6:               "integer overflow",
	7:               "integer divide by zero",
	8:               "invalid conversion to integer",
	trapUnreachable: "unreachable",
}

const textStackExhausted = "call stack exhausted"

// execution is one entry into a canister.
type execution struct {
	env      Env
	occasion occasion
	arg      []byte
	fuel     uint64 // to run on
}

// run calls an exported function of type () -> () and tells how it ended:
// status 0 if it returned, else why it stopped. It changes only the instance.
func (in *instance) run(export string, x execution) (Outcome, error) {
	f, err := in.function(export)
	if err != nil {
		return Outcome{}, err
	}
	in.host.start(x.env, x.occasion, x.arg)
	in.host.fuelAt = x.fuel
	if err := in.store.SetFuel(x.fuel); err != nil {
		return Outcome{}, fmt.Errorf("set fuel: %w", err)
	}
	_, callErr := f.Call(in.store)
	left, err := in.store.GetFuel()
	if err != nil {
		return Outcome{}, fmt.Errorf("read fuel: %w", err)
	}
	spent := x.fuel - left
	if callErr == nil {
		return Outcome{Fuel: spent}, nil
	}
	return in.stopped(callErr, spent, x.fuel)
}

func (in *instance) function(export string) (*wasmtime.Func, error) {
	if f := in.funcs[export]; f != nil {
		return f, nil
	}
	f := in.inst.GetFunc(in.store, export)
	if f == nil {
		return nil, fmt.Errorf("module %s does not export function %q", in.module.Program.Hash, export)
	}
	in.funcs[export] = f
	return f, nil
}

// stopped turns the end of an execution that did not return into an outcome.
func (in *instance) stopped(callErr error, spent, fuel uint64) (Outcome, error) {
	if err := in.host.stopped; err != nil {
		trap, ok := errors.AsType[canisterTrap](err)
		switch {
		case !ok:
			return Outcome{}, fmt.Errorf("host function: %w", err)
		case trap == errOutOfFuel:
			return outOfFuel(fuel), nil
		}
		return failed(Trapped, cleanText(string(trap), maxTrapText), spent), nil
	}
	trap, ok := errors.AsType[*wasmtime.Trap](callErr)
	if !ok || trap.Code() == nil {
		return Outcome{}, fmt.Errorf("run canister: %w", callErr)
	}
	switch code := trapCode(*trap.Code()); code {
	case trapOutOfFuel:
		return outOfFuel(fuel), nil
	case trapStackOverflow:
		return Outcome{}, errors.New("run canister: the native stack ran out before the limit on stack depth, " +
			"which no module may achieve; replicas with other compilers may disagree")
	case trapUnreachable:
		switch depth := uint32(in.depth.Get(in.store).I32()); {
		case depth == program.GrowFailed:
			return Outcome{}, errors.New("run canister: the engine could not grow the memory within the limit: " +
				"this machine is short of memory")
		case depth > in.module.Program.Config.StackUnits:
			return failed(Trapped, textStackExhausted, spent), nil
		}
		return failed(Trapped, trapTexts[code], spent), nil
	default:
		text, known := trapTexts[code]
		if !known {
			return Outcome{}, fmt.Errorf("run canister: unexpected trap %d: %w", code, callErr)
		}
		return failed(Trapped, text, spent), nil
	}
}

func outOfFuel(fuel uint64) Outcome {
	return failed(OutOfFuel, fmt.Sprintf("the limit of %d units of fuel is used up", fuel), fuel)
}

// answer is the outcome of a method that returned.
func (in *instance) answer(spent uint64) Outcome {
	h := in.host
	switch h.answer {
	case Replied:
		return Outcome{Status: Replied, Reply: h.reply, Fuel: spent}
	case Rejected:
		return Outcome{Status: Rejected, RejectCode: rejectByCanister, Text: h.reject, Fuel: spent}
	}
	return failed(NoReply, "the canister did not reply", spent)
}
