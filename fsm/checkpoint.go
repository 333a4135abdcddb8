package fsm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// A checkpoint's state table holds everything but pages, as deterministic CBOR; the pages are the checkpoint's memories:
// "canister-<id>" the linear memory, "module-<id>" the module's code.

// tableVersion is the version of the state table's format.
const tableVersion = 1

type stateTable struct {
	_ struct{} `cbor:",toarray"`

	Version      uint64
	Index        uint64
	Round        RoundNumber
	Time         int64
	NextSession  SessionID
	NextCanister CanisterID
	Limits       Limits
	Sessions     []*session
	Canisters    []canisterTable
}

type canisterTable struct {
	_ struct{} `cbor:",toarray"`

	ID        CanisterID
	Name      string
	Module    canister.ModuleHash
	CodeBytes uint64
	Globals   []canister.Global
}

// Hashing is how checkpoints hash what they hold of a state: what snapshot.Config wants to know.
func Hashing() snapshot.Hashing { return snapshot.Hashing{Page: memstore.HashPage} }

func memoryName(id CanisterID) string { return fmt.Sprintf("canister-%d", id) }
func codeName(id CanisterID) string   { return fmt.Sprintf("module-%d", id) }

// checkpoint describes the published state for the checkpoint writer, which reads the pages as it goes.
func (p *published) checkpoint() (snapshot.State, error) {
	s, pages := &p.state, p.world.pages
	table := stateTable{Version: tableVersion, Index: p.index, Round: s.Round, Time: s.Time, NextSession: s.NextSession,
		NextCanister: s.NextCanister, Limits: s.Limits, Sessions: s.sessions.all()}
	out := snapshot.State{Round: uint64(s.Round), Root: p.root}
	for _, c := range s.canisters {
		table.Canisters = append(table.Canisters, canisterTable{ID: c.ID, Name: c.Name, Module: c.Module,
			CodeBytes: c.CodeBytes, Globals: c.State.Globals})
		out.Memories = append(out.Memories,
			describeMemory(memoryName(c.ID), c.State.Memory, pages), describeMemory(codeName(c.ID), c.Code, pages))
	}
	var err error
	out.Table, err = encMode.Marshal(&table)
	if err != nil {
		return snapshot.State{}, fmt.Errorf("encode state table: %w", err)
	}
	return out, nil
}

func describeMemory(name string, v memstore.Version, pages *memstore.Store) snapshot.Memory {
	var list iter.Seq2[uint64, snapshot.Page] = func(yield func(uint64, snapshot.Page) bool) {
		for key, handle := range v.Pages.All() {
			if !yield(key, snapshot.Page{Hash: pages.HashValue(handle), Bytes: pages.Page(handle)}) {
				return
			}
		}
	}
	return snapshot.Memory{Name: name, Size: uint64(v.Size), Root: v.Pages.Root(pages), Pages: list}
}

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
	table, err := decodeTable(c)
	if err != nil {
		return world{}, 0, err
	}
	pages, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		return world{}, 0, err
	}
	w := world{state: table.state(), pages: pages, live: map[CanisterID]*canister.Canister{}, names: map[string]CanisterID{}}
	if err := m.fill(&w, table, c); err != nil {
		return world{}, 0, errors.Join(err, w.close())
	}
	root, err := w.root()
	if err == nil && root != c.Root {
		err = fmt.Errorf("state root is %s, the checkpoint says %s: it is damaged", root, c.Root)
	}
	if err != nil {
		return world{}, 0, errors.Join(err, w.close())
	}
	return w, table.Index, nil
}

func decodeTable(c *snapshot.Checkpoint) (*stateTable, error) {
	table := new(stateTable)
	if err := decMode.Unmarshal(c.Table, table); err != nil {
		return nil, fmt.Errorf("state table: %w", err)
	}
	switch {
	case table.Version != tableVersion:
		return nil, fmt.Errorf("state table has format version %d, this program reads version %d", table.Version, tableVersion)
	case uint64(table.Round) != c.Round:
		return nil, fmt.Errorf("state table is of round %d, the checkpoint of round %d", table.Round, c.Round)
	case table.Index > c.Index:
		return nil, fmt.Errorf("state table is of log index %d, the checkpoint of %d", table.Index, c.Index)
	}
	if err := table.Limits.Validate(); err != nil {
		return nil, fmt.Errorf("state table: %w", err)
	}
	return table, nil
}

func (t *stateTable) state() State {
	return State{Round: t.Round, Time: t.Time, NextSession: t.NextSession, NextCanister: t.NextCanister, Limits: t.Limits}
}

func (m *Machine) fill(w *world, table *stateTable, c *snapshot.Checkpoint) error {
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
		v, err := mapMemory(w.pages, memory)
		if err != nil {
			return err
		}
		memories[memory.Name] = v
	}
	for i := range table.Canisters {
		if err := m.restoreCanister(w, &table.Canisters[i], memories); err != nil {
			return fmt.Errorf("canister %s: %w", table.Canisters[i].Name, err)
		}
	}
	return nil
}

// mapMemory makes a checkpoint's memory a version of the store; its pages stay in their files.
func mapMemory(pages *memstore.Store, memory *snapshot.MemoryFile) (memstore.Version, error) {
	first := make([]pagetrie.Value, len(memory.Layers))
	for i, layer := range memory.Layers {
		hash := func(i memstore.PageCount) pagetrie.Hash { return layer.Hash(uint64(i)) }
		var err error
		if first[i], err = pages.AddFile(layer.File, layer.DataOffset, memstore.PageCount(layer.Len()), hash); err != nil {
			return memstore.Version{}, fmt.Errorf("map memory %s: %w", memory.Name, err)
		}
	}
	return memstore.Version{Size: memstore.PageCount(memory.Size), Pages: memory.Map(first)}, nil
}

func (m *Machine) restoreCanister(w *world, t *canisterTable, memories map[string]memstore.Version) error {
	memory, haveMemory := memories[memoryName(t.ID)]
	code, haveCode := memories[codeName(t.ID)]
	if !haveMemory || !haveCode || t.CodeBytes > uint64(code.Size)*memstore.PageSize {
		return errors.New("the checkpoint does not hold its memory and its module")
	}
	if t.ID == 0 || t.ID >= w.state.NextCanister || w.live[t.ID] != nil || w.names[t.Name] != 0 {
		return errors.New("the canister table is not in order")
	}
	bytes := loadPages(w.pages, code, t.CodeBytes)
	if sum := canister.ModuleHash(sha256.Sum256(bytes)); sum != t.Module {
		return fmt.Errorf("its module has hash %s, the checkpoint says %s", sum, t.Module)
	}
	program, err := canister.Prepare(bytes, w.state.Limits.Canister)
	if err != nil {
		return fmt.Errorf("prepare module: %w", err)
	}
	module, err := m.cfg.Engine.Compile(program)
	if err != nil {
		return err
	}
	state := canister.State{Memory: memory, Globals: t.Globals}
	live, err := canister.Restore(canister.Config{Engine: m.cfg.Engine, Store: w.pages, Tracker: m.cfg.Tracker,
		Limits: w.state.Limits.Canister}, module, state)
	if err != nil {
		return err
	}
	w.live[t.ID], w.names[t.Name] = live, t.ID
	w.state.putCanisters([]*canisterRecord{{ID: t.ID, Name: t.Name, Module: t.Module, Code: code, CodeBytes: t.CodeBytes, State: state}})
	return nil
}
