package plant

import (
	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
)

func bare() *sim.Seams { return &sim.Seams{Bare: true} }

// barePlants are defects of hashicorp/raft 1.7.3 that node guards against.
var barePlants = []Plant{
	{Name: "raft-install-livelock", Doc: "a deposed leader with entries that were never committed is sent the same checkpoint for ever (issue 697).",
		Expect: []string{"liveness"}, Bare: true, seams: bare, shape: shortLogs,
		faults: "at 3s for 6s partition nodes=leader until=diverged\nat 11s for 6s partition nodes=leader until=diverged\n" +
			"at 19s for 6s partition nodes=leader until=diverged\n"},
	{Name: "raft-store-error-wedge", Doc: "a follower whose log fails once after it was truncated takes nothing more (issue 612).",
		Expect: []string{"liveness", "no-panic"}, Bare: true, shape: longLogs, faults: leaderCuts,
		seams: func() *sim.Seams {
			return &sim.Seams{Bare: true, Logs: func(_ int, under raft.LogStore) raft.LogStore { return &stumbling{LogStore: under} }}
		}},
	{Name: "raft-stale-install", Doc: "a checkpoint that is delivered late takes the state machine back.", Expect: []string{"apply-order"}, Bare: true, seams: bare,
		faults: "at 8s for 1s stale-install nodes=all\nat 11s for 1s stale-install nodes=all\nat 14s for 1s stale-install nodes=all\n" +
			"at 17s for 1s stale-install nodes=all\nat 20s for 1s stale-install nodes=all\nat 23s for 1s stale-install nodes=all\n"},
	{Name: "raft-bad-checkpoint-panic", Doc: "a damaged newest checkpoint makes the start panic, since the log is cut behind it (issue 85).",
		Expect: []string{"no-panic"}, Bare: true, seams: bare,
		faults: "at 10s for 2s restart nodes=2\nat 11s corrupt-checkpoint nodes=2 mode=flip\nat 18s for 2s restart nodes=3\nat 19s corrupt-checkpoint nodes=3 mode=truncate\n"},
	{Name: "raft-pipeline-wedge", Doc: "a pipeline whose listener has gone keeps the sender waiting: a follower is sent nothing more.",
		Expect: []string{"liveness"}, Bare: true, seams: bare, shape: longLogs,
		faults: "at 1s for 28s loss nodes=all to=all rate=0.004\nat 1s for 28s delay nodes=all to=all delay=9ms jitter=7ms\n"},
}

// longLogs is a cluster that brings followers up to date from its logs.
const longLogs = `time run=30s quiet=16s window=1s
replica 1 tracker=prefetch checkpoint=2000 trailing=4000
replica 2 tracker=cow checkpoint=2000 trailing=4000
replica 3 tracker=compare checkpoint=2000 trailing=4000
workload name=uniform clients=8 rate=60 queries=0.3 stale=0.05 duplicates=0.2
`

// shortLogs is a cluster that keeps next to nothing of its logs behind a checkpoint, and in which a leader that is cut off has many entries
// that nobody else has.
const shortLogs = `time run=30s quiet=16s window=1s
cluster election=500ms
replica 1 tracker=prefetch checkpoint=24 trailing=1 messages=8
replica 2 tracker=cow opt=none checkpoint=31 trailing=1 messages=8 append=7
replica 3 tracker=compare checkpoint=40 trailing=1 messages=8 workers=1
workload name=uniform clients=24 rate=60 queries=0.1 duplicates=0.2
`
