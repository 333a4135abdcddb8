package fsm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// RestoreCheckpoint makes a checkpoint the machine's state, verified by its root.
func (m *Machine) RestoreCheckpoint(c *snapshot.Checkpoint) error {
	w, index, err := m.load(c)
	if err != nil {
		return fmt.Errorf("restore checkpoint of round %d: %w", c.Round, err)
	}
	m.enter(w, index, c.Root)
	return nil
}

// load builds the world of a checkpoint. Nothing of the machine changes.
func (m *Machine) load(c *snapshot.Checkpoint) (world, uint64, error) {
	table, err := tableOf(c)
	if err != nil {
		return world{}, 0, err
	}
	pages, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		return world{}, 0, err
	}
	w := newWorld(table.state(), pages)
	c.Hold()
	w.checkpoint, w.proving = c, &proving{}
	if err := m.fill(&w, table, c); err != nil {
		return world{}, 0, errors.Join(err, w.close())
	}
	return w, table.Index, nil
}

func (t *StateTable) state() State {
	return State{Round: t.Round, Time: t.Time, NextSession: t.NextSession, NextCanister: t.NextCanister, Limits: t.Limits}
}

// fill fills a new world and holds its root against the checkpoint's. The memories stay in their files: each of them is
// known by its root, and what is read of it later is checked on the way.
func (m *Machine) fill(w *world, table *StateTable, c *snapshot.Checkpoint) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	for _, s := range table.Sessions {
		if s == nil || s.ID == 0 || s.ID >= table.NextSession || w.state.sessions.get(s.ID) != nil {
			return errors.New("state table: its sessions are not in order")
		}
		if err := w.state.sessions.put(w.state.Round, s); err != nil {
			return err
		}
	}
	memories := make(map[string]memstore.Version, len(c.Memories))
	for _, memory := range c.Memories {
		v, err := w.mapMemory(memory)
		if err != nil {
			return err
		}
		memories[memory.Name] = v
	}
	for i := range table.Canisters {
		if err := m.restoreCanister(w, &table.Canisters[i], memories); err != nil {
			return fmt.Errorf("canister %s: %w", table.Canisters[i].Head.Name, err)
		}
	}
	root, err := w.root()
	if err == nil && root != c.Root {
		err = fmt.Errorf("state root is %s, the checkpoint says %s: it is damaged", root, c.Root)
	}
	return err
}

// mapMemory makes a checkpoint's memory a version of the store; its pages stay in their files.
func (w *world) mapMemory(memory *snapshot.MemoryFile) (memstore.Version, error) {
	pages := w.pages
	first := make([]pagetrie.Value, len(memory.Layers))
	for i, layer := range memory.Layers {
		area := memstore.PageArea{File: layer.File, Offset: layer.DataOffset, Pages: memstore.PageCount(layer.Len()),
			Hash:    func(i memstore.PageCount) pagetrie.Hash { return layer.Hash(uint64(i)) },
			Damaged: func(i memstore.PageCount) error { return memory.DamagedPage(layer, uint64(i)) }}
		var err error
		if first[i], err = pages.AddFile(area); err != nil {
			return memstore.Version{}, fmt.Errorf("map memory %s: %w", memory.Name, err)
		}
		w.files = append(w.files, restoredFile{memory, layer, first[i]})
	}
	trie, err := memory.Stored(first)
	if err != nil {
		return memstore.Version{}, fmt.Errorf("map memory %s: %w", memory.Name, err)
	}
	v := memstore.Version{Size: memstore.PageCount(memory.Size), Pages: trie}
	if err := memory.CheckRoot(v.Pages.Root(pages)); err != nil {
		return memstore.Version{}, fmt.Errorf("map memory %s: %w", memory.Name, err)
	}
	return v.Known(func(yield func(memstore.Row) bool) {
		memory.Extents(func(page uint64, at snapshot.PageRef, count uint64) bool {
			return yield(memstore.Row{Start: memstore.PageIndex(page), Count: memstore.PageCount(count), First: first[at.Layer] + pagetrie.Value(at.Position)})
		})
	}), nil
}

func (m *Machine) restoreCanister(w *world, t *CanisterTable, memories map[string]memstore.Version) error {
	memory, haveMemory := memories[memoryName(t.Head.ID)]
	stable, haveStable := memories[stableName(t.Head.ID)]
	code, haveCode := memories[codeName(t.Head.ID)]
	if !haveMemory || !haveStable || !haveCode || t.CodeBytes > uint64(code.Size)*memstore.PageSize {
		return errors.New("the checkpoint does not hold its memories and its module")
	}
	record, err := t.record()
	if err != nil {
		return err
	}
	if record.ID == 0 || record.ID >= w.state.NextCanister || w.state.canister(record.ID) != nil || w.names[record.Name] != 0 {
		return errors.New("the canister table is not in order")
	}
	bytes := loadPages(w.pages, code, t.CodeBytes)
	if sum := canister.ModuleHash(sha256.Sum256(bytes)); sum != record.Module {
		return fmt.Errorf("its module has hash %s, the checkpoint says %s", sum, record.Module)
	}
	program, err := canister.Prepare(bytes, record.Limits)
	if err != nil {
		return fmt.Errorf("prepare module: %w", err)
	}
	module, err := m.cfg.Engine.Compile(program)
	if err != nil {
		return err
	}
	record.Code = code
	record.State = canister.State{Memory: memory, Globals: t.Globals, Stable: stable, CertifiedData: t.CertifiedData}
	record.live, err = canister.Restore(canister.Config{Engine: m.cfg.Engine, Store: w.pages, Tracker: m.cfg.Tracker,
		Limits: record.Limits}, module, record.State)
	if err != nil {
		return err
	}
	w.live[record.live], w.names[record.Name] = struct{}{}, record.ID
	w.state.putCanisters([]*canisterRecord{record})
	return nil
}

// record is the table's entry without memories and live canister. What no machine could have written is refused: a machine
// must not go on from it, whatever the root says.
func (t *CanisterTable) record() (*canisterRecord, error) {
	h := &t.Head
	c := &canisterRecord{ID: h.ID, Name: h.Name, Module: h.Module, CodeBytes: t.CodeBytes, Controllers: h.Controllers, Limits: h.Limits, Version: h.Version,
		Life: h.Life, Timer: h.Timer, traffic: traffic{NextContext: h.NextContext, NextCall: h.NextCall, Stops: h.Stops}}
	outstanding := map[contextID]uint64{}
	last := callID(0)
	for _, call := range t.Calls {
		if call == nil || call.ID <= last || call.ID >= h.NextCall || len(call.OnCleanup) > 1 {
			return nil, errors.New("its calls are not in order")
		}
		last = call.ID
		outstanding[call.Context]++
		c.addCall(call)
	}
	for _, context := range t.Contexts {
		if context == nil || context.ID >= h.NextContext || context.Outstanding == 0 || outstanding[context.ID] != context.Outstanding {
			return nil, errors.New("its call contexts do not fit its calls")
		}
		delete(outstanding, context.ID)
		c.keepContext(context)
	}
	if len(outstanding) > 0 || len(c.Contexts) != len(t.Contexts) {
		return nil, errors.New("its calls do not fit its call contexts")
	}
	for _, q := range t.Queue {
		if q == nil {
			return nil, errors.New("its queue has a hole")
		}
		c.push(q)
	}
	switch {
	case c.Life < Running || c.Life > Stopped:
		return nil, fmt.Errorf("its life is %d", c.Life)
	case c.Life == Stopped && len(c.Contexts) > 0, c.Life == Stopping && len(c.Contexts) == 0, c.Life != Stopping && len(c.Stops) > 0:
		return nil, fmt.Errorf("it is %s with %d call contexts, and %d wait for it to stop", c.Life, len(c.Contexts), len(c.Stops))
	}
	return c, nil
}
