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
	return errors.Join(append(errs, l.Canister.Validate())...)
}
