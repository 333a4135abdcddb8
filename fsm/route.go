package fsm

import (
	"fmt"
	"slices"

	"lockstep/canister"
)

// When a round's executions are done, what they have sent is routed into queues: canister by canister, ascending, in the
// order in which it was made. Calls of the management canister are carried out here, one after the other.

func (w *roundWork) route() error {
	for senders := w.senders(); len(senders) > 0; senders = w.senders() { // the management canister makes some send again
		if !w.weighed {
			w.weigh()
		}
		for _, t := range senders {
			outbox := t.outbox
			t.outbox = nil
			for _, e := range outbox {
				if err := w.deliver(e); err != nil {
					return fmt.Errorf("round %d: %w", w.next.Round, err)
				}
			}
		}
	}
	return nil
}

// senders are the turns that have something to send, in order.
func (w *roundWork) senders() (out []*turn) {
	turns := slices.Clone(w.left)
	for _, id := range w.ids() {
		turns = append(turns, w.turns[id])
	}
	for _, t := range turns {
		if len(t.outbox) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// weigh sums up what waits in all queues.
func (w *roundWork) weigh() {
	w.weighed = true
	for _, c := range w.next.canisters {
		if t := w.turns[c.ID]; t != nil {
			c = &t.record
		}
		w.queueBytes += c.queueBytes
	}
}

func (w *roundWork) deliver(e envelope) error {
	if e.item.Response {
		w.deliverResponse(e.to, e.item)
		return nil
	}
	if len(e.callee) == 0 {
		return w.manage(e.item.Origin, e.item.Method, e.item.Data)
	}
	if code, reason := w.deliverCall(e); code != 0 {
		w.deliverResponse(e.item.Origin.Canister, rejection(e.item.Origin.Call, code, reason))
	}
	return nil
}

// deliverCall puts a call into its callee's queue; otherwise it gives the reason why not.
func (w *roundWork) deliverCall(e envelope) (code uint32, reason string) {
	id, isCanister := canister.CanisterOf(e.callee)
	if !isCanister || w.next.canister(CanisterID(id)) == nil {
		return codeDestination, fmt.Sprintf("there is no canister %s", canister.PrincipalText(e.callee))
	}
	limits, callee := &w.next.Limits, w.turn(CanisterID(id))
	switch {
	case uint64(len(e.item.Data)) > limits.ArgBytes:
		return codeFatal, fmt.Sprintf("argument is %d bytes long, the cluster allows %d", len(e.item.Data), limits.ArgBytes)
	case callee.record.requests >= limits.QueueMessages:
		return codeTransient, fmt.Sprintf("%d calls wait at canister %q, as many as the cluster allows", callee.record.requests, callee.record.Name)
	case w.queueBytes+e.item.bytes() > limits.CallBytes:
		return codeTransient, fmt.Sprintf("%d bytes wait in the cluster's queues, the call of %d bytes would be more than it allows", w.queueBytes, e.item.bytes())
	}
	w.queueBytes += e.item.bytes()
	callee.record.push(e.item)
	return 0, ""
}

// deliverResponse puts a response into the queue of the canister that made the call. There is always place for it.
func (w *roundWork) deliverResponse(to CanisterID, response *queued) {
	if w.next.canister(to) == nil {
		return
	}
	if w.queueBytes+response.bytes() > 2*w.next.Limits.CallBytes {
		response = rejection(response.Call, codeFatal, "the cluster's queues had no place for the response")
	}
	w.queueBytes += response.bytes()
	w.turn(to).record.push(response)
}
