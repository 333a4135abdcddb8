package fsm

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"lockstep/canister"
	"lockstep/pagetrie"
)

// execute runs what the turns have to run: the messages of one canister in log order, canisters beside each other.
func (w *roundWork) execute() error {
	ids := w.ids()
	var busy []*turn
	for _, id := range ids {
		if t := w.turns[id]; t.busy() {
			busy = append(busy, t)
		}
	}
	if err := beside(w.machine.cfg.Workers, busy, (*turn).run); err != nil {
		return err
	}
	for _, id := range ids {
		if err := w.collect(w.turns[id]); err != nil {
			return err
		}
	}
	return nil
}

// readBack puts the new values of the canisters that had a turn into the state, hashed.
func (w *roundWork) readBack() error {
	var records []*canisterRecord
	for _, id := range w.ids() {
		record := w.turns[id].record
		record.State = record.live.State()
		records = append(records, &record)
	}
	err := beside(w.machine.cfg.Workers, records, func(r *canisterRecord) error {
		r.hash = hashCanister(r, r.State.Root(w.machine.pages))
		return nil
	})
	w.next.putCanisters(records)
	return err
}

// beside calls do for all items, several at a time. A page that can't be read is its error. One item, or one worker, takes no goroutine.
func beside[T any](workers int, items []T, do func(T) error) error {
	one := func(item T) (err error) {
		defer pagetrie.CatchUnreadable(&err)
		return do(item)
	}
	if workers == 1 || len(items) == 1 {
		for _, item := range items {
			if err := one(item); err != nil {
				return err
			}
		}
		return nil
	}
	var group errgroup.Group
	group.SetLimit(workers)
	for _, item := range items {
		group.Go(func() error { return one(item) })
	}
	return group.Wait()
}

// resultOf turns a canister's outcome into the message's result.
func resultOf(o canister.Outcome, round RoundNumber) Result {
	result := Result{Reply: o.Reply, RejectCode: o.RejectCode, Text: o.Text, Fuel: o.Fuel, Round: round}
	switch o.Status {
	case canister.Replied:
		result.Status = StatusReplied
	case canister.Rejected:
		result.Status = StatusRejected
	case canister.NoReply:
		result.Status = StatusNoReply
	case canister.Trapped:
		result.Status = StatusTrapped
	case canister.OutOfFuel:
		result.Status = StatusOutOfFuel
	case canister.MethodNotFound:
		result.Status = StatusRefused
	default:
		panic(fmt.Sprintf("fsm: canister outcome has unknown status %d", o.Status))
	}
	return result
}
