package fsm

import (
	"lockstep/canister"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// Contents is what a checkpoint's state table says, for tools. It is a copy: changing it changes nothing.
type Contents struct {
	Round        RoundNumber
	Time         int64
	NextSession  SessionID
	NextCanister CanisterID
	Limits       Limits
	Sessions     []SessionContents // in the order of the table
	Canisters    []CanisterContents
}

// SessionContents is one session: its newest message and how that ended.
type SessionContents struct {
	ID           SessionID
	LastUse      uint64
	Sequence     uint64
	Result       Result
	ReplyDropped bool
}

// CanisterContents is one canister without its pages.
type CanisterContents struct {
	ID        CanisterID
	Name      string
	Module    canister.ModuleHash
	CodeBytes uint64
	Globals   []canister.Global
	// CertifiedData is what the canister has certified.
	CertifiedData []byte
	// Controllers may change its life.
	Controllers [][]byte
	Version     uint64
	Life        Life
	Timer       uint64
	// NextContext and NextCall are the numbers that its next call context and its next call get.
	NextContext, NextCall uint64
	// Stopping counts the requests that wait for it to stop.
	Stopping int
	// Queued, Outstanding and Contexts count what waits: items of the input queue, calls without a response, call contexts.
	// Traffic covers all of it, and the requests that wait for the canister to stop.
	Queued, Outstanding, Contexts int
	Traffic                       pagetrie.Hash
	// Memory, Stable and Code name the checkpoint's memories that hold its linear memory, its stable memory and its module.
	Memory, Stable, Code string
}

// ReadContents reads the state table of a checkpoint. The pages are not looked at.
func ReadContents(c *snapshot.Checkpoint) (*Contents, error) {
	table, err := tableOf(c)
	if err != nil {
		return nil, err
	}
	out := &Contents{Round: table.Round, Time: table.Time, NextSession: table.NextSession, NextCanister: table.NextCanister, Limits: table.Limits}
	for _, s := range table.Sessions {
		if s != nil {
			out.Sessions = append(out.Sessions, s.contents())
		}
	}
	for i := range table.Canisters {
		out.Canisters = append(out.Canisters, table.Canisters[i].contents())
	}
	return out, nil
}

func (s *session) contents() SessionContents {
	return SessionContents{ID: s.ID, LastUse: s.LastUse, Sequence: s.Sequence, Result: s.Result, ReplyDropped: s.ReplyDropped}
}

func (t *CanisterTable) contents() CanisterContents {
	h := &t.Head
	return CanisterContents{ID: h.ID, Name: h.Name, Module: h.Module, CodeBytes: t.CodeBytes, Globals: t.Globals,
		CertifiedData: t.CertifiedData, Controllers: h.Controllers, Version: h.Version, Life: h.Life, Timer: h.Timer,
		NextContext: uint64(h.NextContext), NextCall: uint64(h.NextCall), Stopping: len(h.Stops),
		Queued: len(t.Queue), Outstanding: len(t.Calls), Contexts: len(t.Contexts),
		Traffic: hashValue("lockstep/contents", []any{h.Stops, t.Contexts, t.Calls, t.Queue}),
		Memory:  memoryName(h.ID), Stable: stableName(h.ID), Code: codeName(h.ID)}
}
