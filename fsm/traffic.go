package fsm

import (
	"cmp"
	"fmt"
	"slices"

	"lockstep/canister"
	"lockstep/pagetrie"
)

// Ref names a message of a round: what a pending message is waited for by.
type Ref struct {
	_ struct{} `cbor:",toarray"`

	Round    RoundNumber `json:"round"`
	Position uint64      `json:"position"`
}

// String is for people.
func (r Ref) String() string { return fmt.Sprintf("message %d of round %d", r.Position, r.Round) }

// contextID numbers the call contexts of one canister, callID its calls, both from 1. A number is never used twice, not
// even after the canister was installed anew.
type (
	contextID uint64
	callID    uint64
)

// origin is who asked, and is told the answer.
type origin struct {
	_ struct{} `cbor:",toarray"`

	Kind originKind
	// Caller is what the canister sees as its caller.
	Caller []byte
	// Ref and Session are of a client's message.
	Ref     Ref
	Session SessionID
	// Canister and Call are of another canister's call, or of the canister's own.
	Canister CanisterID
	Call     callID
	// Deadline is the round time until which the caller waits for an answer; 0 for ever.
	Deadline int64
}

// originKind is part of the state: its numbers are fixed.
type originKind uint8

const (
	fromClient   originKind = 1
	fromCanister originKind = 2
	// fromTask is the global timer or the heartbeat: nobody waits for an answer.
	fromTask originKind = 3
)

// callContext is what a message has begun and not finished: it lives while calls that were made on its behalf have no
// response. Records are immutable; a turn works on a copy.
type callContext struct {
	_ struct{} `cbor:",toarray"`

	ID     contextID
	Origin origin
	// Answered is set by the first reply or reject, and from the beginning where nobody waits.
	Answered bool
	// Outstanding counts the calls without a response; 0 only while the context's first execution runs.
	Outstanding uint64
	// Fuel is what all executions of the context have used.
	Fuel uint64

	hash pagetrie.Hash
}

// callback is a canister.Callback as it is encoded.
type callback struct {
	_ struct{} `cbor:",toarray"`

	Func, Env uint64
}

func (c callback) value() canister.Callback   { return canister.Callback{Func: c.Func, Env: c.Env} }
func callbackOf(c canister.Callback) callback { return callback{Func: c.Func, Env: c.Env} }
func cleanupOf(c *canister.Callback) (out []callback) {
	if c != nil {
		out = append(out, callbackOf(*c))
	}
	return out
}

// outCall is a call that a canister has made and whose response it has not been handed yet.
type outCall struct {
	_ struct{} `cbor:",toarray"`

	ID                callID
	Context           contextID
	OnReply, OnReject callback
	// OnCleanup has one element or none.
	OnCleanup []callback
	// Deadline is the round time from which the canister waits no longer; 0 for never.
	Deadline int64

	hash pagetrie.Hash
}

// queued is one item of a canister's input queue: a call of another canister, or the response to a call of its own.
type queued struct {
	_ struct{} `cbor:",toarray"`

	Response bool
	// Origin and Method are of a call.
	Origin origin
	Method string
	// Data is the call's argument or the reply.
	Data []byte
	// Call, Code and Text are of a response; Code is 0 for a reply.
	Call callID
	Code uint32
	Text string

	hash pagetrie.Hash
}

// The reject codes of the Internet Computer.
const (
	codeFatal       = 1
	codeTransient   = 2
	codeDestination = 3
	codeReject      = 4
	codeError       = 5
	codeUnknown     = 6
)

// bytes is what the item counts for against Limits.CallBytes.
func (q *queued) bytes() uint64 { return uint64(len(q.Data) + len(q.Text) + len(q.Method)) }

func rejection(call callID, code uint32, text string) *queued {
	return &queued{Response: true, Call: call, Code: code, Text: text}
}

// traffic is a canister's part in calls. As a part of a record it is immutable.
type traffic struct {
	NextContext contextID
	NextCall    callID
	Contexts    []*callContext // ascending by ID
	Calls       []*outCall     // ascending by ID
	Queue       []*queued      // oldest first
	// Stops wait for the canister to have stopped, oldest first.
	Stops []origin

	queueBytes uint64
	requests   uint64 // of Queue that are calls
}

func newTraffic() traffic { return traffic{NextContext: 1, NextCall: 1} }

// clone gives a copy that may be changed by the methods below.
func (t traffic) clone() traffic {
	t.Contexts, t.Calls, t.Queue, t.Stops = slices.Clone(t.Contexts), slices.Clone(t.Calls), slices.Clone(t.Queue), slices.Clone(t.Stops)
	return t
}

func (t *traffic) push(q *queued) {
	q.hash = hashValue("lockstep/queued/1", q)
	t.Queue = append(t.Queue, q)
	t.count(q)
}

func (t *traffic) count(q *queued) {
	t.queueBytes += q.bytes()
	if !q.Response {
		t.requests++
	}
}

func (t *traffic) pop() *queued {
	q := t.Queue[0]
	t.Queue[0] = nil
	t.Queue = t.Queue[1:]
	t.queueBytes -= q.bytes()
	if !q.Response {
		t.requests--
	}
	return q
}

func (t *traffic) addCall(c *outCall) {
	c.hash = hashValue("lockstep/call/2", c)
	t.Calls = append(t.Calls, c)
}

// dueCall reports whether a call's deadline has come.
func (t *traffic) dueCall(time int64) bool {
	deadline := t.nextDeadline()
	return deadline != 0 && deadline <= time
}

// nextDeadline is the earliest of the calls' deadlines, 0 if there is none.
func (t *traffic) nextDeadline() int64 {
	next := int64(0)
	for _, c := range t.Calls {
		if c.Deadline != 0 && (next == 0 || c.Deadline < next) {
			next = c.Deadline
		}
	}
	return next
}

// expire gives the canister a response to each call whose deadline has come, unless one waits for it already. The callee's own,
// if it comes, will be dropped.
func (t *traffic) expire(time int64) {
	for i, c := range t.Calls {
		if c.Deadline == 0 || c.Deadline > time {
			continue
		}
		late := *c
		late.Deadline = 0
		late.hash = hashValue("lockstep/call/2", &late)
		t.Calls[i] = &late
		if !slices.ContainsFunc(t.Queue, func(q *queued) bool { return q.Response && q.Call == c.ID }) {
			t.push(rejection(c.ID, codeUnknown, "no response came within the time that the caller gave; whether the call was carried out is not known"))
		}
	}
}

// takeCall removes a call; nil if there is none.
func (t *traffic) takeCall(id callID) *outCall {
	i, found := slices.BinarySearchFunc(t.Calls, id, func(c *outCall, id callID) int { return cmp.Compare(c.ID, id) })
	if !found {
		return nil
	}
	c := t.Calls[i]
	t.Calls = slices.Delete(t.Calls, i, i+1)
	return c
}

// context gives a copy of an open context to work on; it must be there.
func (t *traffic) context(id contextID) *callContext {
	i, found := t.searchContext(id)
	if !found {
		panic(fmt.Sprintf("fsm: call context %d is not in the table", id))
	}
	c := *t.Contexts[i]
	return &c
}

// keepContext puts a context back, or in.
func (t *traffic) keepContext(c *callContext) {
	c.hash = hashValue("lockstep/context/1", c)
	i, found := t.searchContext(c.ID)
	if found {
		t.Contexts[i] = c
		return
	}
	t.Contexts = slices.Insert(t.Contexts, i, c)
}

// dropContext takes a context out if it is in.
func (t *traffic) dropContext(id contextID) {
	if i, found := t.searchContext(id); found {
		t.Contexts = slices.Delete(t.Contexts, i, i+1)
	}
}

func (t *traffic) searchContext(id contextID) (int, bool) {
	return slices.BinarySearchFunc(t.Contexts, id, func(c *callContext, id contextID) int { return cmp.Compare(c.ID, id) })
}
