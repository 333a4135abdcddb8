package fsm

import (
	"fmt"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// A checkpoint's state table holds everything but pages, as deterministic CBOR; the pages are the checkpoint's memories:
// "canister-<id>" the linear memory, "stable-<id>" the stable memory, "module-<id>" the module's code.

// tableVersion is the version of the state table's format.
const tableVersion = 3

// StateTable is a checkpoint's table.
type StateTable struct {
	_ struct{} `cbor:",toarray"`

	Version      uint64
	Index        uint64
	Round        RoundNumber
	Time         int64
	NextSession  SessionID
	NextCanister CanisterID
	Limits       Limits
	Sessions     []*session
	Canisters    []CanisterTable
}

// CanisterTable is a canister's part of it.
type CanisterTable struct {
	_ struct{} `cbor:",toarray"`

	Head          canisterHead
	CodeBytes     uint64
	Globals       []canister.Global
	CertifiedData []byte
	Contexts      []*callContext
	Calls         []*outCall
	Queue         []*queued
}

// canisterHead is what a canister's entry has beside lists and memories: one part of its hash.
type canisterHead struct {
	_ struct{} `cbor:",toarray"`

	ID          CanisterID
	Name        string
	Module      canister.ModuleHash
	Controllers [][]byte
	Limits      canister.Limits
	Version     uint64
	Life        Life
	Timer       uint64
	NextContext contextID
	NextCall    callID
	Stops       []origin
}

func (c *canisterRecord) head() canisterHead {
	return canisterHead{ID: c.ID, Name: c.Name, Module: c.Module, Controllers: c.Controllers, Limits: c.Limits, Version: c.Version, Life: c.Life,
		Timer: c.Timer, NextContext: c.NextContext, NextCall: c.NextCall, Stops: c.Stops}
}

// Hashing is how checkpoints hash what they hold of a state: what snapshot.Config wants to know.
func Hashing() snapshot.Hashing {
	return snapshot.Hashing{Page: memstore.HashPage, Pair: memstore.HashPagePair}
}

func memoryName(id CanisterID) string { return fmt.Sprintf("canister-%d", id) }
func stableName(id CanisterID) string { return fmt.Sprintf("stable-%d", id) }
func codeName(id CanisterID) string   { return fmt.Sprintf("module-%d", id) }

// checkpoint describes the published state for the checkpoint writer, which reads the pages as it goes.
func (p *published) checkpoint() (snapshot.State, error) {
	s, pages := &p.state, p.world.pages
	table := StateTable{Version: tableVersion, Index: p.index, Round: s.Round, Time: s.Time, NextSession: s.NextSession,
		NextCanister: s.NextCanister, Limits: s.Limits, Sessions: s.sessions.all()}
	out := snapshot.State{Round: uint64(s.Round), Root: p.root}
	memories := p.world.memories(s)
	since := p.world.since()
	for _, m := range memories {
		out.Memories = append(out.Memories, describeMemory(m, since[m.name], pages))
	}
	for _, c := range s.canisters {
		table.Canisters = append(table.Canisters, c.table())
	}
	var err error
	out.Table, err = table.Encode()
	return out, err
}

// table is the record as the state table has it.
func (c *canisterRecord) table() CanisterTable {
	return CanisterTable{Head: c.head(), CodeBytes: c.CodeBytes, Globals: c.State.Globals, CertifiedData: c.State.CertifiedData,
		Contexts: c.Contexts, Calls: c.Calls, Queue: c.Queue}
}

// describeMemory names the pages of a memory, and those that changed since a version that an earlier checkpoint has.
func describeMemory(m, since namedMemory, pages *memstore.Store) snapshot.Memory {
	page := func(handle pagetrie.Value) snapshot.Page {
		return snapshot.Page{Hash: pages.HashValue(handle), Bytes: pages.Page(handle)}
	}
	out := snapshot.Memory{Name: m.name, Size: uint64(m.version.Size), Root: m.root}
	out.Pages = func(yield func(uint64, snapshot.Page) bool) {
		for key, handle := range m.version.Pages.All() {
			if !yield(key, page(handle)) {
				return
			}
		}
	}
	if since.name == "" {
		return out
	}
	out.SinceRoot = since.root
	out.Changes = func(yield func(uint64, snapshot.Page) bool) {
		for c := range pagetrie.Diff(since.version.Pages, m.version.Pages) {
			changed := snapshot.Page{} // zero now
			if c.HasNew {
				changed = page(c.New)
			}
			if !yield(c.Key, changed) {
				return
			}
		}
	}
	return out
}

// Encode gives the table's one encoding.
func (t *StateTable) Encode() ([]byte, error) {
	encoded, err := encMode.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode state table: %w", err)
	}
	return encoded, nil
}

// DecodeTable reads what Encode gave. Whether it is a state that a machine can have is found out when it is restored.
func DecodeTable(encoded []byte) (*StateTable, error) {
	table := new(StateTable)
	if err := decMode.Unmarshal(encoded, table); err != nil {
		return nil, fmt.Errorf("state table: %w", err)
	}
	if table.Version != tableVersion {
		return nil, fmt.Errorf("state table has format version %d, this program reads version %d", table.Version, tableVersion)
	}
	return table, nil
}

// tableOf reads the table of a checkpoint and holds it against the checkpoint's head.
func tableOf(c *snapshot.Checkpoint) (*StateTable, error) {
	table, err := DecodeTable(c.Table)
	if err != nil {
		return nil, err
	}
	switch {
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
