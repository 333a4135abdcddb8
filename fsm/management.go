package fsm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"lockstep/canister"
)

// manage answers a call to the management canister, the one with the empty principal. It answers in the round of the call.
func (w *roundWork) manage(q *queued) *queued {
	switch q.Method {
	case "raw_rand":
		text := binary.BigEndian.AppendUint64(w.seed[:], uint64(q.Origin.Canister))
		random := hashParts("lockstep/raw-rand/1", binary.BigEndian.AppendUint64(text, uint64(q.Origin.Call)))
		return &queued{Response: true, Call: q.Origin.Call, Data: candidBlob(random[:])}
	case "canister_status":
		return w.manageStatus(q)
	}
	return rejection(q.Origin.Call, codeDestination,
		fmt.Sprintf("the management canister of this cluster has no method %q; it has canister_status and raw_rand", q.Method))
}

// manageStatus answers the caller about itself, or about a canister that it controls.
func (w *roundWork) manageStatus(q *queued) *queued {
	principal, err := candidCanisterID(q.Data)
	if err != nil {
		return rejection(q.Origin.Call, codeError, "canister_status: "+err.Error())
	}
	id, _ := canister.CanisterOf(principal)
	if w.next.canister(CanisterID(id)) == nil {
		return rejection(q.Origin.Call, codeDestination, fmt.Sprintf("there is no canister %s", canister.PrincipalText(principal)))
	}
	t := w.turn(CanisterID(id))
	if !bytes.Equal(principal, q.Origin.Caller) && !t.controlledBy(q.Origin.Caller) {
		return rejection(q.Origin.Call, codeError, fmt.Sprintf("canister_status: the caller is not a controller of canister %q", t.record.Name))
	}
	return &queued{Response: true, Call: q.Origin.Call, Data: t.record.candidStatus()}
}
