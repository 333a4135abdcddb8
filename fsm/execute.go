package fsm

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"lockstep/canister"
	"lockstep/pagetrie"
)

// execute runs what the turns have to run: the messages of one canister in log order, canisters beside each other.
func (w *roundWork) execute() error {
	var group errgroup.Group
	group.SetLimit(w.machine.cfg.Workers)
	ids := w.ids()
	for _, id := range ids {
		if t := w.turns[id]; t.busy() {
			group.Go(func() (err error) {
				defer pagetrie.CatchUnreadable(&err)
				return t.run()
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := w.collect(w.turns[id]); err != nil {
			return err
		}
	}
	return nil
}

// readBack puts the new values of the canisters that had a turn into the state.
func (w *roundWork) readBack() error {
	var group errgroup.Group
	group.SetLimit(w.machine.cfg.Workers)
	var records []*canisterRecord
	for _, id := range w.ids() {
		record := w.turns[id].record
		record.State, record.hash = record.live.State(), pagetrie.Hash{}
		records = append(records, &record)
		group.Go(func() (err error) {
			defer pagetrie.CatchUnreadable(&err)
			record.State.Root(w.machine.pages) // hashes what changed beside other canisters; the state root finds it done
			return nil
		})
	}
	err := group.Wait()
	w.next.putCanisters(records)
	return err
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
