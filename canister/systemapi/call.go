package systemapi

import "bytes"

// Bounds on the calls of one execution. A call too many is not queued, which
// call_perform says.
const (
	maxCalls      = 500
	maxCallsBytes = 16 << 20 // arguments and names together
	maxMethodName = 20_000   // bytes
)

const cannotQueue = 2 // what call_perform answers: a transient error

// callNew begins a call, dropping one that was begun and not performed.
func (h *Host) callNew(a []uint64) (uint64, error) {
	h.call = nil
	callee, err := h.principal(a[0], a[1], "ic0.call_new")
	if err != nil {
		return 0, err
	}
	if a[3] > maxMethodName {
		return 0, trapf("ic0.call_new: a method's name of %d bytes, the limit is %d", a[3], maxMethodName)
	}
	name, err := h.utf8(a[2], a[3], "ic0.call_new: the method's name")
	if err != nil {
		return 0, err
	}
	h.call = &Call{Callee: bytes.Clone(callee), Method: name, OnReply: Callback{a[4], a[5]}, OnReject: Callback{a[6], a[7]}}
	return 0, nil
}

// begun is the call under construction.
func (h *Host) begun(caller string) (*Call, error) {
	if h.call == nil {
		return nil, trapf("ic0.%s: no call has been begun", caller)
	}
	return h.call, nil
}

func (h *Host) callOnCleanup(a []uint64) (uint64, error) {
	call, err := h.begun("call_on_cleanup")
	if err != nil {
		return 0, err
	}
	if call.OnCleanup != nil {
		return 0, trapf("ic0.call_on_cleanup: the call has a cleanup callback")
	}
	call.OnCleanup = &Callback{a[0], a[1]}
	return 0, nil
}

func (h *Host) callDataAppend(a []uint64) (uint64, error) {
	call, err := h.begun("call_data_append")
	if err != nil {
		return 0, err
	}
	if err := h.fits("ic0.call_data_append: an argument", len(call.Arg), a[1]); err != nil {
		return 0, err
	}
	mem, err := h.bytes(a[0], a[1])
	if err != nil {
		return 0, err
	}
	call.Arg = append(call.Arg, mem...)
	return 0, nil
}

func (h *Host) callBestEffort(a []uint64) (uint64, error) {
	call, err := h.begun("call_with_best_effort_response")
	if err != nil {
		return 0, err
	}
	if call.TimeoutSeconds != 0 {
		return 0, trapf("ic0.call_with_best_effort_response: the call has a timeout")
	}
	const longest = 300 // of the Internet Computer, in seconds
	call.TimeoutSeconds = uint32(max(1, min(a[0], longest)))
	return 0, nil
}

// callCyclesAdd takes one word of an amount, or two.
func (h *Host) callCyclesAdd(a []uint64) (uint64, error) {
	if _, err := h.begun("call_cycles_add"); err != nil {
		return 0, err
	}
	for _, word := range a {
		if word != 0 {
			return 0, trapf("ic0.call_cycles_add: the canister has no cycles")
		}
	}
	return 0, nil
}

func (h *Host) callPerform([]uint64) (uint64, error) {
	call, err := h.begun("call_perform")
	if err != nil {
		return 0, err
	}
	h.call = nil
	size := uint64(len(call.Arg) + len(call.Method))
	if uint64(len(h.effects.Calls)) >= min(maxCalls, h.x.Env.CallsLeft) || h.callBytes+size > maxCallsBytes {
		return cannotQueue, nil
	}
	h.callBytes += size
	h.effects.Calls = append(h.effects.Calls, *call)
	return 0, nil
}
