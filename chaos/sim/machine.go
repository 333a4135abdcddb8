package sim

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/snapshot"
)

// Machine is a replica's state machine as a run needs it: an *fsm.Machine, or another one (Seams.NewMachine).
type Machine interface {
	node.Machine
	// RestoreCheckpoint makes a checkpoint the machine's state, verified by its root.
	RestoreCheckpoint(*snapshot.Checkpoint) error
	// Stopped gives the reason why the machine has stopped for good, nil while it runs.
	Stopped() error
}

// newMachine makes the state machine of a replica, or, as replica 0's, one that repeats the log. cfg has no engine yet.
func (c *cluster) newMachine(replica int, opt string, cfg fsm.Config) (Machine, error) {
	if c.seams.NewMachine != nil {
		return c.seams.NewMachine(replica, cfg)
	}
	var err error
	if cfg.Engine, err = c.engine(opt); err != nil {
		return nil, err
	}
	machine, err := fsm.New(cfg)
	if err != nil {
		return nil, err
	}
	return machine, nil
}

// plain makes a machine that shares no tracker with the replicas that are examined.
func (c *cluster) plain() (*fsm.Machine, error) {
	machine, err := c.newMachine(0, "", fsm.Config{Tracker: memstore.TrackerCompare, Workers: 1, RootsKept: rootsKept})
	if err != nil {
		return nil, err
	}
	if plain, ok := machine.(*fsm.Machine); ok {
		return plain, nil
	}
	return nil, joinErrors(errors.New("the states of this run's machines cannot be compared"), machine.Close())
}

// engine gives the engine of an optimisation level; replicas of one level share it.
func (c *cluster) engine(opt string) (*canister.Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.engines[opt]; e != nil {
		return e, nil
	}
	e, err := canister.NewEngine(canister.EngineConfig{CacheDir: c.opts.Modules, OptLevel: canister.OptLevel(opt)})
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	c.engines[opt] = e
	return e, nil
}
