package plant

import (
	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
	"lockstep/fsm"
	"lockstep/node"
)

// banks has two banks that send each other money.
const banks = `time run=12s quiet=16s window=1s
replica 1 tracker=prefetch checkpoint=60 trailing=16 messages=8
replica 2 tracker=cow opt=none checkpoint=71 trailing=16 messages=8
replica 3 tracker=compare checkpoint=90 trailing=16 messages=8 workers=1
workload name=bank clients=8 rate=60 queries=0.3 duplicates=0.2
`

// also makes a bug that all replicas share, and those that repeat the log too: now and then a message runs that nobody has sent. No
// root differs, no result is missing or too many.
func also(m fsm.Message) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Replays: true, Machine: func(_ int, under node.Machine) node.Machine {
			return &machine{under, func(under node.Machine, e *raft.Log) any {
				if e.Index%97 != 0 {
					return under.Apply(e)
				}
				sent := 0
				out := under.Apply(rewritten(e, func(r *fsm.Round) {
					sent = len(r.Messages)
					r.Messages = append(r.Messages, m)
				}))
				if r, ok := out.(*fsm.RoundResult); ok && len(r.Results) > sent {
					told := *r
					told.Results = r.Results[:sent]
					return &told
				}
				return out
			}}
		}}
	}
}

// bankPlants are bugs that all replicas share, so that they agree on a state that is wrong.
var bankPlants = []Plant{
	{Name: "money-lost", Doc: "a message that nobody has sent makes money vanish, on all replicas alike.", Expect: []string{"conservation"},
		shape: banks, seams: also(fsm.Message{Kind: fsm.KindUpdate, Canister: "bank-b", Method: "leak"})},
	{Name: "call-delivered-twice", Doc: "a deposit that a call has made is made again without a call, on all replicas alike.",
		Expect: []string{"conservation"}, shape: banks,
		seams: also(fsm.Message{Kind: fsm.KindUpdate, Canister: "bank-a", Method: "deposit", Arg: append([]byte{5}, make([]byte, 15)...)})},
}
