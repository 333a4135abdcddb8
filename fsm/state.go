package fsm

import (
	"cmp"
	"slices"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// CanisterID numbers the canisters of a cluster from 1 in the order of their installation. A number is never used twice.
type CanisterID uint64

// State is everything that is replicated, as a value: a copy is a snapshot. What it points to is never changed once the
// state is published.
type State struct {
	Round        RoundNumber
	Time         int64
	NextSession  SessionID
	NextCanister CanisterID
	Limits       Limits

	sessions  sessionTable
	canisters []*canisterRecord // ascending by ID
}

// canisterRecord is one immutable entry of the canister table.
type canisterRecord struct {
	ID     CanisterID
	Name   string
	Module canister.ModuleHash
	// Code is the module as it was sent, cut into pages, its last page filled up with zeros; CodeBytes is its length.
	// It is covered by Module, the hash of its bytes.
	Code      memstore.Version
	CodeBytes uint64
	State     canister.State

	hash pagetrie.Hash
}

func newState(limits Limits) State {
	return State{NextSession: 1, NextCanister: 1, Limits: limits}
}

func (s *State) search(id CanisterID) (int, bool) {
	return slices.BinarySearchFunc(s.canisters, id, func(c *canisterRecord, id CanisterID) int { return cmp.Compare(c.ID, id) })
}

// putCanisters replaces or appends records. The slice is copied: the state it came from keeps its own.
func (s *State) putCanisters(records []*canisterRecord) {
	if len(records) == 0 {
		return
	}
	s.canisters = slices.Clone(s.canisters)
	for _, c := range records {
		if i, found := s.search(c.ID); found {
			s.canisters[i] = c
		} else {
			s.canisters = slices.Insert(s.canisters, i, c)
		}
	}
}

// canisterNamed finds a record by name; nil if there is none.
func (s *State) canisterNamed(name string) *canisterRecord {
	for _, c := range s.canisters {
		if c.Name == name {
			return c
		}
	}
	return nil
}
