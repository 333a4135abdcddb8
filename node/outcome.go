package node

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Outcome says what a failed request has done. A request that did not fail has a result instead.
type Outcome uint8

const (
	// OutcomeRefused: the request certainly did not happen.
	OutcomeRefused Outcome = 1
	// OutcomeUnknown: the request may have happened, or may still happen.
	OutcomeUnknown Outcome = 2
)

// String is the word in the client protocol.
func (o Outcome) String() string {
	switch o {
	case OutcomeRefused:
		return "refused"
	case OutcomeUnknown:
		return "unknown"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText makes the outcome a word in JSON.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the word that MarshalText writes.
func (o *Outcome) UnmarshalText(text []byte) error {
	for _, known := range [...]Outcome{OutcomeRefused, OutcomeUnknown} {
		if known.String() == string(text) {
			*o = known
			return nil
		}
	}
	return fmt.Errorf("unknown outcome %q", text)
}

// callError is a failed request inside the node: its outcome with the reason.
type callError struct {
	outcome Outcome
	err     error
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

func refused(err error) error { return &callError{OutcomeRefused, err} }
func unknown(err error) error { return &callError{OutcomeUnknown, err} }

// OutcomeOf gives the outcome of a failed request; one that nobody classified may have happened.
func OutcomeOf(err error) Outcome {
	var call *callError
	if errors.As(err, &call) {
		return call.outcome
	}
	return OutcomeUnknown
}

// Reasons of a refusal. Each can be retried later or elsewhere.
var (
	// errNotLeader: only the leader takes updates and linearizable queries.
	errNotLeader = errors.New("this node is not the leader")
	// errHandingOn: a leader that hands leadership on takes no round.
	errHandingOn = fmt.Errorf("%w any more: it is handing leadership on", errNotLeader)
	// errBusy: the queue of messages is full; wait before sending more.
	errBusy = errors.New("too many messages wait on this node: send slower")
	// errStopping: the node is being stopped.
	errStopping = errors.New("this node is stopping")
)

// classify turns the error of a proposed round into an outcome for its messages.
func classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return refused(errNotLeader)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return refused(fmt.Errorf("%w: the leader's Raft took no round in time", errBusy))
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return refused(errHandingOn)
	case errors.Is(err, raft.ErrLeadershipLost):
		return unknown(errors.New("leadership was lost while the message was on its way to the other replicas"))
	case errors.Is(err, raft.ErrRaftShutdown):
		return unknown(errors.New("the node stopped while the message was on its way to the other replicas"))
	}
	return unknown(err)
}
