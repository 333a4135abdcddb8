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
	// Memory and Code name the checkpoint's memories that hold its linear memory and its module.
	Memory, Code string
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
		out.Canisters = append(out.Canisters, CanisterContents{ID: t.ID, Name: t.Name, Module: t.Module, CodeBytes: t.CodeBytes,
			Globals: t.Globals, Memory: memoryName(t.ID), Code: codeName(t.ID)})
	}
	return out, nil
}
