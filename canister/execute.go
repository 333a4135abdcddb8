//go:build cgo

package canister

import (
	"errors"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
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

// callPath carries calls to an instance, and what host functions need back.
type callPath interface {
	// call runs a function of type () -> (), or (i64 i64) -> (). An error is
	// the world's.
	call(f *wasmtime.Func, args []uint64, fuel uint64) (callEnd, error)
	memory() []byte // as it is now, tracked like the canister's own accesses
	size() uint64   // of the memory, in bytes
	base() uintptr  // of the memory, which never moves below 4 GiB
	resized()       // the memory grew between calls
	fuel() (uint64, error)
	setFuel(uint64) error
	close()
}

// callEnd is how a call ended.
type callEnd struct {
	kind callKind
	trap trapCode // if callTrapped
	left uint64   // fuel
}

type callKind uint8

const (
	callReturned callKind = iota
	callTrapped
	callStopped // by a host function, which left its reason in the host
)

// run calls an exported function and tells how it ended. It changes only the
// instance.
func (in *instance) run(t target, x systemapi.Execution) (Outcome, error) {
	f, err := in.function(t.export)
	if err != nil {
		return Outcome{}, err
	}
	in.host.Start(x, in.certified)
	end, err := in.path.call(f, t.args, x.Fuel)
	if err != nil {
		return Outcome{}, fmt.Errorf("run canister: %w", err)
	}
	spent := x.Fuel - end.left
	switch end.kind {
	case callReturned:
		return in.returned(spent, x), nil
	case callStopped:
		return in.stopped(spent, x.Fuel)
	}
	return in.trapped(end.trap, spent, x.Fuel)
}

// returned is the outcome of an execution that came to its end.
func (in *instance) returned(spent uint64, x systemapi.Execution) Outcome {
	e := in.host.Effects()
	in.certified = e.CertifiedData
	out := Outcome{Fuel: spent, Calls: e.Calls, Timer: e.Timer, Accepted: e.Accepted}
	switch e.Answer {
	case systemapi.Reply:
		out.Status, out.Reply = Replied, e.Reply
	case systemapi.Reject:
		out.Status, out.RejectCode, out.Text = Rejected, rejectByCanister, e.Reject
	default:
		out.Status = NoReply
		if x.Occasion&mustAnswer != 0 {
			out.RejectCode, out.Text = rejectError, textNoReply
		}
	}
	return out
}

// mustAnswer is where returning without an answer is told to the caller.
const mustAnswer = systemapi.InUpdate | systemapi.InReplicatedQuery | systemapi.InQuery | systemapi.InCompositeQuery

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

// stopped is the outcome of an execution that a host function ended.
func (in *instance) stopped(spent, fuel uint64) (Outcome, error) {
	trap, ok := errors.AsType[systemapi.Trap](in.host.Stopped())
	switch {
	case !ok:
		return Outcome{}, fmt.Errorf("run canister: host function: %w", in.host.Stopped())
	case trap == systemapi.ErrOutOfFuel:
		return outOfFuel(fuel), nil
	}
	return failed(Trapped, systemapi.CleanText(string(trap), systemapi.MaxTrapText), spent), nil
}

// trapped is the outcome of an execution that the engine ended.
func (in *instance) trapped(code trapCode, spent, fuel uint64) (Outcome, error) {
	switch code {
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
	}
	text, known := trapTexts[code]
	if !known {
		return Outcome{}, fmt.Errorf("run canister: unexpected trap %d", code)
	}
	return failed(Trapped, systemapi.CleanText(text+in.host.LastWords(), systemapi.MaxTrapText), spent), nil
}

func outOfFuel(fuel uint64) Outcome {
	return failed(OutOfFuel, fmt.Sprintf("the limit of %d units of fuel is used up", fuel), fuel)
}
