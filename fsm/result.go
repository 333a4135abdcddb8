package fsm

import (
	"fmt"

	"lockstep/pagetrie"
)

// Status says how a message ended. Its numbers are part of the state (results are kept in sessions).
type Status uint8

const (
	// StatusReplied: the canister answered; its changes are kept.
	StatusReplied Status = 1
	// StatusRejected: the canister answered with a reject of its own; its changes are kept.
	StatusRejected Status = 2
	// StatusNoReply: the method returned without an answer; its changes are kept.
	StatusNoReply Status = 3
	// StatusTrapped: the canister trapped; nothing of the message remains.
	StatusTrapped Status = 4
	// StatusOutOfFuel: the message used up its fuel; nothing of it remains.
	StatusOutOfFuel Status = 5
	// StatusRefused: the state machine did not run the message (no such canister, a bad module, a limit …).
	StatusRefused Status = 6
	// StatusSessionExpired: the session is unknown: never opened, or evicted because too many were open. Whether an
	// earlier send of the message ran is not known any more; it did not run now.
	StatusSessionExpired Status = 7
	// StatusStale: the sequence number is older than the session's newest; it ran before or was skipped, not now.
	StatusStale Status = 8
	// StatusPending: the message ran and its canister waits for others before it answers. Ref names the message.
	StatusPending Status = 9

	lastStatus = StatusPending
)

// String names the status as it is shown to people and used in the client protocol.
func (s Status) String() string {
	names := [...]string{StatusReplied: "replied", StatusRejected: "rejected", StatusNoReply: "no-reply",
		StatusTrapped: "trapped", StatusOutOfFuel: "out-of-fuel", StatusRefused: "refused",
		StatusSessionExpired: "session-expired", StatusStale: "stale", StatusPending: "pending"}
	if int(s) < len(names) && names[s] != "" {
		return names[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// MarshalText makes the status a word in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word that MarshalText writes.
func (s *Status) UnmarshalText(text []byte) error {
	for c := StatusReplied; c <= lastStatus; c++ {
		if c.String() == string(text) {
			*s = c
			return nil
		}
	}
	return fmt.Errorf("unknown status %q", text)
}

// Result is the outcome of one message: a value that all replicas agree on.
type Result struct {
	_ struct{} `cbor:",toarray"`

	Status Status
	// Reply is the canister's answer (Replied), or the new session's number as 8 bytes big endian (open-session).
	Reply []byte
	// RejectCode is the code of a reject; 0 otherwise.
	RejectCode uint32
	// Text is the reject's or the trap's message, or the reason of a refusal.
	Text string
	// Fuel is what the message used, in all its executions.
	Fuel uint64
	// Round is the round in which the message was answered or became pending: for a duplicate, the earlier one.
	Round RoundNumber
	// Ref names the message while it is pending; zero otherwise.
	Ref Ref
}

// RoundResult is what applying one round gives.
type RoundResult struct {
	Round RoundNumber
	// Index is the round's Raft log index.
	Index uint64
	// Time is the round's time as messages saw it.
	Time int64
	Root pagetrie.Hash
	// Results are in the order of the round's messages.
	Results []Result
	// Completed are messages of earlier rounds that were pending and have been answered in this one.
	Completed []Completion
}

// Completion is the end of a pending message.
type Completion struct {
	Ref    Ref
	Result Result
}

// DivergedError reports that this replica's state after a round is not the one that a leader attested. A replica that
// finds this has stopped applying; it must not serve.
type DivergedError struct {
	// Round is the attested round.
	Round RoundNumber
	// Own and Attested are the two roots.
	Own, Attested pagetrie.Hash
	// FoundAt is the round that carried the attestation.
	FoundAt RoundNumber
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("diverged at round %d: own root %s, the leader attests %s (found while applying round %d)",
		e.Round, e.Own, e.Attested, e.FoundAt)
}
