package fsm

import (
	"fmt"

	"lockstep/canister"
)

// When a round's executions are done, what they have sent is routed into queues: canister by canister, ascending, in the
// order in which it was made. Nothing runs here.

func (w *roundWork) route() {
	senders := w.left
	for _, id := range w.ids() {
		senders = append(senders, w.turns[id])
	}
	for _, t := range senders {
		if len(t.outbox) > 0 && !w.weighed {
			w.weigh()
		}
		for _, e := range t.outbox {
			w.deliver(e)
		}
		t.outbox = nil
	}
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

func (w *roundWork) deliver(e envelope) {
	if e.item.Response {
		w.deliverResponse(e.to, e.item)
		return
	}
	if len(e.callee) == 0 {
		w.deliverResponse(e.item.Origin.Canister, w.manage(e.item))
		return
	}
	if code, reason := w.deliverCall(e); code != 0 {
		w.deliverResponse(e.item.Origin.Canister, rejection(e.item.Origin.Call, code, reason))
	}
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
