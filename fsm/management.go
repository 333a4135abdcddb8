package fsm

import (
	"encoding/binary"
	"fmt"
)

// manage answers a call to the management canister, the one with the empty principal. It answers in the round of the call.
func (w *roundWork) manage(q *queued) *queued {
	switch q.Method {
	case "raw_rand":
		text := binary.BigEndian.AppendUint64(append([]byte(nil), w.seed[:]...), uint64(q.Origin.Canister))
		random := hashParts("lockstep/raw-rand/1", binary.BigEndian.AppendUint64(text, uint64(q.Origin.Call)))
		return &queued{Response: true, Call: q.Origin.Call, Data: candidBlob(random[:])}
	case "canister_status":
		return w.manageStatus(q)
	}
	return rejection(q.Origin.Call, codeDestination,
		fmt.Sprintf("the management canister of this cluster has no method %q; it has canister_status and raw_rand", q.Method))
}
