package fsm

import (
	"lockstep/canister"
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
	Version   uint64
	Life      Life
	Timer     int64
	// Queued, Outstanding and Contexts count what waits: items of the input queue, calls without a response, call contexts.
	Queued, Outstanding, Contexts int
	// Memory, Stable and Code name the checkpoint's memories that hold its linear memory, its stable memory and its module.
	Memory, Stable, Code string
}

// ReadContents reads the state table of a checkpoint. The pages are not looked at.
func ReadContents(c *snapshot.Checkpoint) (*Contents, error) {
	table, err := decodeTable(c)
	if err != nil {
		return nil, err
	}
	out := &Contents{Round: table.Round, Time: table.Time, NextSession: table.NextSession, NextCanister: table.NextCanister, Limits: table.Limits}
	for _, s := range table.Sessions {
		if s != nil {
			out.Sessions = append(out.Sessions, SessionContents{ID: s.ID, LastUse: s.LastUse, Sequence: s.Sequence, Result: s.Result, ReplyDropped: s.ReplyDropped})
		}
	}
	for _, t := range table.Canisters {
		out.Canisters = append(out.Canisters, CanisterContents{ID: t.Head.ID, Name: t.Head.Name, Module: t.Head.Module,
			CodeBytes: t.CodeBytes, Globals: t.Globals, Version: t.Head.Version, Life: t.Head.Life, Timer: t.Head.Timer,
			Queued: len(t.Queue), Outstanding: len(t.Calls), Contexts: len(t.Contexts),
			Memory: memoryName(t.Head.ID), Stable: stableName(t.Head.ID), Code: codeName(t.Head.ID)})
	}
	return out, nil
}
