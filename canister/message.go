package canister

import (
	"fmt"

	"lockstep/canister/systemapi"
)

// Env is the world as an execution sees it.
type Env = systemapi.Env

// Message is one call of a method.
type Message struct {
	Method string
	Arg    []byte // read only while the message runs
}

// Status tells how a message ended.
type Status uint8

// The ends a message can come to. The first three keep the canister's changes
// to its state, unless the message is a query; the others leave nothing.
const (
	_              Status = iota
	Replied               // the canister replied
	Rejected              // the canister called msg_reject: an answer like another
	NoReply               // the canister returned and said nothing, or had nobody to say it to
	Trapped               // execution stopped; Text says why
	OutOfFuel             // execution reached the limit on fuel
	MethodNotFound        // no method of this name and kind
)

var statusNames = [...]string{
	Replied: "replied", Rejected: "rejected", NoReply: "no reply", Trapped: "trapped",
	OutOfFuel: "out of fuel", MethodNotFound: "method not found",
}

func (s Status) String() string {
	if s == 0 || int(s) >= len(statusNames) {
		return fmt.Sprintf("status %d", uint8(s))
	}
	return statusNames[s]
}

// Committed tells whether an update that ended so keeps its changes.
func (s Status) Committed() bool { return s == Replied || s == Rejected || s == NoReply }

// Reject codes, as the Internet Computer numbers them.
const (
	rejectByCanister = 4
	rejectError      = 5
)

// Outcome is how a message ended, equal on every replica in every field.
type Outcome struct {
	Status     Status
	Reply      []byte // if Replied; the caller's own
	RejectCode uint32 // 0 if Replied or nobody waits for an answer, 4 if Rejected, else 5
	Text       string // why, if not Replied; valid UTF-8, bounded
	Fuel       uint64 // spent

	Calls    []Call  // to be made, in order; none unless the changes are kept
	Timer    *uint64 // when the global timer is to be due, in nanoseconds since 1970, 0 for never; nil if not set
	Accepted bool    // EntryInspect: the message may come in
}

func (o Outcome) String() string {
	if o.Status == Replied {
		return fmt.Sprintf("%s: %d bytes, fuel %d", o.Status, len(o.Reply), o.Fuel)
	}
	return fmt.Sprintf("%s: %s (code %d, fuel %d)", o.Status, o.Text, o.RejectCode, o.Fuel)
}

const (
	textStackExhausted = "call stack exhausted"
	textNoReply        = "the canister did not reply"
	textNoTable        = "the canister has no table of functions"
)

func failed(s Status, text string, fuel uint64) Outcome {
	return Outcome{Status: s, RejectCode: rejectError, Text: text, Fuel: fuel}
}

func methodNotFound(kind, name string) Outcome {
	return failed(MethodNotFound, systemapi.CleanText(fmt.Sprintf("the canister has no %s method %q", kind, name), systemapi.MaxTrapText), 0)
}
