package plant

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
	"lockstep/fsm"
	"lockstep/node"
)

// machine is a state machine with another Apply.
type machine struct {
	node.Machine
	apply func(under node.Machine, e *raft.Log) any
}

// Apply implements raft.FSM.
func (m *machine) Apply(e *raft.Log) any { return m.apply(m.Machine, e) }

// applying makes the layers of a bug in Apply. make is called for every life of a replica.
func applying(make func(replica int) func(node.Machine, *raft.Log) any) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Machine: func(replica int, under node.Machine) node.Machine {
			return &machine{under, make(replica)}
		}}
	}
}

// rewritten is an entry with another round.
func rewritten(e *raft.Log, change func(*fsm.Round)) *raft.Log {
	round, err := fsm.DecodeRound(e.Data)
	if err != nil {
		return e
	}
	change(round)
	data, err := round.Encode()
	if err != nil {
		return e
	}
	out := *e
	out.Data = data
	return &out
}

// rounds makes a bug that changes rounds before they are applied.
func rounds(change func(replica int, e *raft.Log, r *fsm.Round)) func() *sim.Seams {
	return applying(func(replica int) func(node.Machine, *raft.Log) any {
		return func(under node.Machine, e *raft.Log) any {
			return under.Apply(rewritten(e, func(r *fsm.Round) { change(replica, e, r) }))
		}
	})
}

const agreement = "root-agreement"

var machinePlants = []Plant{
	{Name: "wall-clock", Doc: "the state machine takes the time from its own clock instead of the round.", Expect: []string{agreement},
		faults: "at 1s for 9s clock nodes=2 skew=3s\n",
		seams: rounds(func(replica int, _ *raft.Log, r *fsm.Round) {
			r.Time = time.Now().UnixNano() + int64(replica)
		})},
	{Name: "map-order", Doc: "one replica runs the messages of a round as they come out of a Go map.", Expect: []string{agreement, "exactly-once"},
		shape: busy,
		seams: rounds(func(replica int, _ *raft.Log, r *fsm.Round) {
			if replica != 2 {
				return
			}
			unordered := map[int]fsm.Message{}
			for i, m := range r.Messages {
				unordered[i] = m
			}
			r.Messages = slices.Collect(maps.Values(unordered))
		})},
	{Name: "altered-argument", Doc: "one replica runs messages with a bit of their argument changed, now and then.", Expect: []string{agreement},
		seams: rounds(func(replica int, e *raft.Log, r *fsm.Round) {
			for i := range r.Messages {
				if arg := r.Messages[i].Arg; replica == 3 && e.Index%50 == 0 && len(arg) > 0 {
					arg[len(arg)-1] ^= 1
				}
			}
		})},
	{Name: "address-in-reply", Doc: "a reply holds an address of the host.", Expect: []string{"exactly-once"},
		seams: applying(func(replica int) func(node.Machine, *raft.Log) any {
			return func(under node.Machine, e *raft.Log) any {
				out := under.Apply(e)
				if r, ok := out.(*fsm.RoundResult); ok && e.Index%40 == 0 {
					for i := range r.Results {
						r.Results[i].Reply = append(bytes.Clone(r.Results[i].Reply), byte(replica))
					}
				}
				return out
			}
		})},
	{Name: "dropped-entry", Doc: "the last entry of a batch is not applied.", Expect: []string{"apply-order", agreement},
		seams: applying(func(replica int) func(node.Machine, *raft.Log) any {
			return func(under node.Machine, e *raft.Log) any {
				if replica == 2 && e.Index%80 == 0 {
					return errors.New("forgotten")
				}
				return under.Apply(e)
			}
		})},
	{Name: "applied-twice", Doc: "an entry is applied a second time.", Expect: []string{"apply-order", agreement},
		seams: applying(func(replica int) func(node.Machine, *raft.Log) any {
			return func(under node.Machine, e *raft.Log) any {
				if replica == 3 && e.Index%70 == 0 {
					under.Apply(e)
				}
				return under.Apply(e)
			}
		})},
	{Name: "no-duplicate-check", Doc: "sessions are not looked at: a message that is sent twice runs twice.", Expect: []string{"exactly-once"},
		seams: rounds(func(_ int, _ *raft.Log, r *fsm.Round) {
			for i := range r.Messages {
				r.Messages[i].Session, r.Messages[i].Sequence = 0, 0
			}
		})},
	{Name: "restore-skipped", Doc: "a checkpoint from the leader is taken, and the state stays what it was.",
		Expect: []string{"checkpoint-truth", "apply-order", agreement}, faults: cutUntilCompacted,
		seams: restoring(func(under node.Machine, r io.ReadCloser) error {
			if under.Latest().Round == 0 {
				return under.Restore(r)
			}
			return r.Close()
		})},
	{Name: "restart-trusts-index", Doc: "a replica that starts believes to have its newest checkpoint without restoring it.",
		Expect: []string{"checkpoint-truth", "apply-order", agreement}, faults: "at 12s for 500ms kill nodes=2\n",
		seams: restoring(func(under node.Machine, r io.ReadCloser) error {
			if under.Latest().Round == 0 {
				return r.Close()
			}
			return under.Restore(r)
		})},
	{Name: "canary", Doc: "a panic at the hundredth entry: the alarm must ring.", Expect: []string{"no-panic"},
		seams: applying(func(int) func(node.Machine, *raft.Log) any {
			return func(under node.Machine, e *raft.Log) any {
				if e.Index == 100 {
					panic("the canary has stopped singing")
				}
				return under.Apply(e)
			}
		})},
}

// cutUntilCompacted makes a follower need a checkpoint.
const cutUntilCompacted = "at 3s for 9s partition nodes=follower until=compacted\nat 15s for 9s partition nodes=follower until=compacted\n"

// restorer is a state machine with another Restore.
type restorer struct {
	node.Machine
	restore func(node.Machine, io.ReadCloser) error
}

// Restore implements raft.FSM.
func (r *restorer) Restore(from io.ReadCloser) error { return r.restore(r.Machine, from) }

func restoring(restore func(node.Machine, io.ReadCloser) error) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Machine: func(_ int, under node.Machine) node.Machine { return &restorer{under, restore} }}
	}
}
