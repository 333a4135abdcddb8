package fsm

import (
	"cmp"
	"fmt"
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

// Life says whether a canister takes messages. Its numbers are those of ic0.canister_status.
type Life uint8

const (
	// Running canisters take messages.
	Running Life = 1
	// Stopping canisters refuse messages and wait for the responses to their calls.
	Stopping Life = 2
	// Stopped canisters wait for nothing.
	Stopped Life = 3
)

// String names the life as it is shown to people.
func (l Life) String() string {
	names := [...]string{Running: "running", Stopping: "stopping", Stopped: "stopped"}
	if int(l) < len(names) && l != 0 {
		return names[l]
	}
	return fmt.Sprintf("life(%d)", uint8(l))
}

// MarshalText makes it a word in JSON.
func (l Life) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the word that MarshalText writes.
func (l *Life) UnmarshalText(text []byte) error {
	for _, known := range []Life{Running, Stopping, Stopped} {
		if known.String() == string(text) {
			*l = known
			return nil
		}
	}
	return fmt.Errorf("unknown life %q", text)
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
	// Controllers may upgrade, stop, start and delete the canister.
	Controllers [][]byte
	// Limits are the canister's own.
	Limits canister.Limits
	// Version grows with every execution that is kept and every change of the canister's life.
	Version uint64
	Life    Life
	// Timer is the round time from which the global timer is due; 0 for none.
	Timer uint64
	traffic

	// live runs the canister: messages on the newest record, queries on any.
	live *canister.Canister
	hash pagetrie.Hash
}

// timerDue reports whether the global timer goes off in a round of that time. While the canister waits for as many responses as
// the limits allow, the timer waits too.
func (c *canisterRecord) timerDue(time int64, l *Limits) bool {
	return c.timerRuns(l) && c.Timer <= uint64(max(time, 0))
}

func (c *canisterRecord) timerRuns(l *Limits) bool {
	return c.Life == Running && c.Timer != 0 && uint64(len(c.Calls)) < l.Calls
}

func newState(limits Limits) State {
	return State{NextSession: 1, NextCanister: 1, Limits: limits}
}

func (s *State) search(id CanisterID) (int, bool) {
	return slices.BinarySearchFunc(s.canisters, id, func(c *canisterRecord, id CanisterID) int { return cmp.Compare(c.ID, id) })
}

// canister finds a record; nil if there is none.
func (s *State) canister(id CanisterID) *canisterRecord {
	if i, found := s.search(id); found {
		return s.canisters[i]
	}
	return nil
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

// removeCanister takes a record out; the slice is copied.
func (s *State) removeCanister(id CanisterID) {
	if i, found := s.search(id); found {
		s.canisters = slices.Delete(slices.Clone(s.canisters), i, i+1)
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
