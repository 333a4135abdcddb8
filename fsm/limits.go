package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
)

// Limits is the replicated configuration: what bounds messages and state. It is part of the state root, so that two
// replicas with other limits can't agree by accident. A node's flags never change it.
type Limits struct {
	_ struct{} `cbor:",toarray"`

	// Canister bounds one canister and one execution.
	Canister canister.Limits
	// ArgBytes bounds an argument, at most MaxArgBytes.
	ArgBytes uint64
	// ModuleBytes bounds a module to install, at most MaxModuleBytes.
	ModuleBytes uint64
	// Canisters bounds the number of canisters of the cluster.
	Canisters uint64
	// Sessions bounds the number of open sessions; the one unused for longest is evicted.
	Sessions uint64
	// SessionReplyBytes bounds the reply that a session keeps for a retry. A longer one is answered once; a retry is
	// told that the message ran and that its reply is gone.
	SessionReplyBytes uint64
	// QueueMessages bounds the calls of other canisters that wait at one canister; a call beyond it is rejected with code 2.
	QueueMessages uint64
	// Calls bounds the calls of one canister that have no response yet. A canister that has as many is given no new
	// messages, and what it calls nevertheless is rejected with code 2.
	Calls uint64
	// CallBytes bounds the arguments that wait at all canisters together; a call beyond it is rejected with code 2. As
	// much again is kept for responses. A response always arrives, but beyond that without its contents, as a reject with
	// code 1.
	CallBytes uint64
	// TurnMessages and TurnFuel bound what a canister takes from its queue in one round: no more than so many items, and
	// none once so much fuel is used.
	TurnMessages uint64
	TurnFuel     uint64
	// HeartbeatRounds is the number of rounds from one heartbeat to the next; 0 for no heartbeats.
	HeartbeatRounds uint64
}

// DefaultLimits are the limits of a new cluster.
func DefaultLimits() Limits {
	return Limits{
		Canister:          canister.DefaultLimits(),
		ArgBytes:          2 << 20,
		ModuleBytes:       32 << 20,
		Canisters:         1024,
		Sessions:          16384,
		SessionReplyBytes: 16 << 10,
		QueueMessages:     1024,
		Calls:             1024,
		CallBytes:         256 << 20,
		TurnMessages:      256,
		TurnFuel:          8_000_000_000,
		HeartbeatRounds:   1,
	}
}

// Validate reports every limit that is out of its range.
func (l Limits) Validate() error {
	var errs []error
	check := func(name string, value, low, high uint64) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("limit %s is %d, must be %d to %d", name, value, low, high))
		}
	}
	check("ArgBytes", l.ArgBytes, 1, MaxArgBytes)
	check("ModuleBytes", l.ModuleBytes, 1, MaxModuleBytes)
	check("Canisters", l.Canisters, 1, 1<<20)
	check("Sessions", l.Sessions, 1, 1<<20)
	check("SessionReplyBytes", l.SessionReplyBytes, 0, 1<<20)
	check("QueueMessages", l.QueueMessages, 1, 1<<16)
	check("Calls", l.Calls, 1, 1<<16)
	check("CallBytes", l.CallBytes, 1, 384<<20)
	check("TurnMessages", l.TurnMessages, 1, 1<<16)
	check("TurnFuel", l.TurnFuel, 1, 1<<62)
	check("HeartbeatRounds", l.HeartbeatRounds, 0, 1<<32)
	return errors.Join(append(errs, l.Canister.Validate())...)
}
