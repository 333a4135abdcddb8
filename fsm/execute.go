package fsm

import (
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"lockstep/canister"
	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// execute runs the planned jobs: the messages of one canister in log order, canisters beside each other.
func (w *roundWork) execute() error {
	var group errgroup.Group
	group.SetLimit(w.machine.cfg.Workers)
	for _, id := range w.order {
		w.changed[id] = true
		group.Go(func() error { return w.runJobs(id, w.machine.live[id]) })
	}
	err := group.Wait()
	clear(w.jobs)
	w.order = w.order[:0]
	return err
}

func (w *roundWork) runJobs(id CanisterID, live *canister.Canister) error {
	for _, i := range w.jobs[id] {
		msg := &w.round.Messages[i]
		outcome, err := live.Update(w.env(id, i), canister.Message{Method: msg.Method, Arg: msg.Arg})
		if err != nil {
			return fmt.Errorf("round %d, message %d (canister %s, method %s): %w", w.next.Round, i, msg.Canister, msg.Method, err)
		}
		w.results[i] = resultOf(outcome, w.next.Round)
	}
	live.State().Root(w.machine.pages) // hashes what changed here, beside other canisters; the state root finds it done
	return nil
}

func (w *roundWork) env(id CanisterID, i int) canister.Env {
	return canister.Env{
		Canister: uint64(id),
		Round:    uint64(w.next.Round),
		Message:  uint64(i),
		Time:     w.next.Time,
		Caller:   w.round.Messages[i].Caller,
		Log:      w.machine.logOf(id),
	}
}

// readBack puts the new values of the canisters that ran into the state.
func (w *roundWork) readBack() {
	var records []*canisterRecord
	for _, old := range w.next.canisters {
		if w.changed[old.ID] {
			changed := *old
			changed.State = w.machine.live[old.ID].State()
			changed.hash = pagetrie.Hash{}
			records = append(records, &changed)
		}
	}
	w.next.putCanisters(records)
}

// install runs message i, an installation. Nothing else of the round runs beside it.
func (w *roundWork) install(i int) error {
	msg, m := &w.round.Messages[i], w.machine
	if reason := w.refusesInstall(msg); reason != "" {
		w.refuse(i, reason)
		return nil
	}
	prepared, err := canister.Prepare(msg.Module, w.next.Limits.Canister)
	if err != nil {
		w.refuse(i, err.Error())
		return nil
	}
	module, err := m.cfg.Engine.Compile(prepared)
	if refusal := new(program.Refusal); errors.As(err, &refusal) {
		w.refuse(i, refusal.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("round %d: install canister %s: %w", w.next.Round, msg.Canister, err)
	}
	id := w.next.NextCanister
	live, outcome, err := canister.Install(m.canisterConfig(w.next.Limits), module, w.env(id, i), msg.Arg)
	if err != nil {
		return fmt.Errorf("round %d: install canister %s: %w", w.next.Round, msg.Canister, err)
	}
	w.results[i] = resultOf(outcome, w.next.Round)
	if live == nil {
		return nil
	}
	code, err := storePages(m.pages, msg.Module)
	if err != nil {
		return errors.Join(fmt.Errorf("round %d: keep module of canister %s: %w", w.next.Round, msg.Canister, err), live.Close())
	}
	w.next.NextCanister++
	w.next.putCanisters([]*canisterRecord{{ID: id, Name: msg.Canister, Module: prepared.Hash,
		Code: code, CodeBytes: uint64(len(msg.Module)), State: live.State()}})
	m.addLive(id, msg.Canister, live)
	return nil
}

func (w *roundWork) refusesInstall(msg *Message) string {
	limits := w.next.Limits
	switch {
	case w.machine.names[msg.Canister] != 0:
		return fmt.Sprintf("there is a canister %q already", msg.Canister)
	case uint64(len(w.next.canisters)) >= limits.Canisters:
		return fmt.Sprintf("the cluster has %d canisters, as many as it allows", len(w.next.canisters))
	case uint64(len(msg.Module)) > limits.ModuleBytes:
		return fmt.Sprintf("module is %d bytes long, the cluster allows %d", len(msg.Module), limits.ModuleBytes)
	}
	return ""
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

// storePages cuts data into pages of the store. All-zero pages are absent, as in a memory.
func storePages(pages *memstore.Store, data []byte) (memstore.Version, error) {
	var page, zero [memstore.PageSize]byte
	var edit pagetrie.Map
	builder := edit.Edit()
	count := 0
	for ; count*memstore.PageSize < len(data); count++ {
		n := copy(page[:], data[count*memstore.PageSize:])
		clear(page[n:])
		if page == zero {
			continue
		}
		handle, err := pages.Add(page[:])
		if err != nil {
			return memstore.Version{}, err
		}
		builder.Insert(uint64(count), handle)
	}
	size := (memstore.PageCount(count) + pagesPerWasmPage - 1) / pagesPerWasmPage * pagesPerWasmPage
	return memstore.Version{Size: size, Pages: builder.Map()}, nil
}

const pagesPerWasmPage = memstore.WasmPageSize / memstore.PageSize

// loadPages is the inverse of storePages.
func loadPages(pages *memstore.Store, v memstore.Version, size uint64) []byte {
	data := make([]byte, uint64(v.Size)*memstore.PageSize)
	for key, handle := range v.Pages.All() {
		copy(data[key*memstore.PageSize:], pages.Page(handle))
	}
	return data[:size]
}
