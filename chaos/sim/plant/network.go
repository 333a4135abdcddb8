package plant

import (
	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
	"lockstep/node"
)

// talker is a network end that says something else.
type talker struct {
	node.Network
	entries func(*raft.AppendEntriesRequest)
	vote    func(*raft.RequestVoteResponse)
}

// AppendEntriesPipeline implements raft.Transport: there is none, so that all entries take the other way.
func (t *talker) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries implements raft.Transport.
func (t *talker) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.entries != nil {
		changed := *req
		t.entries(&changed)
		req = &changed
	}
	return t.Network.AppendEntries(id, to, req, resp)
}

// RequestVote implements raft.Transport.
func (t *talker) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	err := t.Network.RequestVote(id, to, req, resp)
	if t.vote != nil && err == nil {
		t.vote(resp)
	}
	return err
}

// RequestPreVote implements raft.WithPreVote.
func (t *talker) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	err := t.Network.RequestPreVote(id, to, req, resp)
	if t.vote != nil && err == nil {
		resp.Granted = true
	}
	return err
}

func talking(entries func(*raft.AppendEntriesRequest), vote func(*raft.RequestVoteResponse)) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Network: func(_ int, under node.Network) node.Network { return &talker{under, entries, vote} }}
	}
}

// alterEntries changes entries on their way, with good checksums.
func alterEntries(req *raft.AppendEntriesRequest) {
	for i, e := range req.Entries {
		if e.Type == raft.LogCommand && e.Index%30 == 0 {
			req.Entries = append([]*raft.Log(nil), req.Entries...)
			req.Entries[i] = rewritten(e, alterArgument)
		}
	}
}

// five is a cluster in which a leader and a follower are no majority.
const five = `time run=30s quiet=16s window=1s
replica 1 checkpoint=100 trailing=4000
replica 2 tracker=cow checkpoint=100 trailing=4000
replica 3 tracker=compare checkpoint=100 trailing=4000
replica 4 checkpoint=100 trailing=4000
replica 5 checkpoint=100 trailing=4000
workload name=uniform clients=8 rate=60 queries=0.1
`

const leaderCuts = "at 4s for 3s partition nodes=leader\nat 11s for 3s partition nodes=leader\nat 18s for 3s partition nodes=leader\n"

var networkPlants = []Plant{
	{Name: "entries-altered", Doc: "entries are changed between leader and follower.", Expect: []string{"log-matching"}, seams: talking(alterEntries, nil)},
	{Name: "commit-before-quorum", Doc: "a leader tells its followers that entries are committed when it sends them.",
		Expect: []string{"committed-kept", agreement, "log-matching", "linearizability", "exactly-once", "no-panic"},
		shape:  five, faults: "at 4s for 4s partition nodes=minority\nat 12s for 4s partition nodes=minority\nat 20s for 4s partition nodes=minority\n",
		seams: talking(func(req *raft.AppendEntriesRequest) {
			if n := len(req.Entries); n > 0 {
				req.LeaderCommitIndex = req.Entries[n-1].Index
			}
		}, nil)},
	{Name: "vote-miscounted", Doc: "a candidate counts refusals as votes.", Expect: []string{"one-leader", "committed-kept", "log-matching"},
		faults: leaderCuts, seams: talking(nil, func(resp *raft.RequestVoteResponse) { resp.Granted = true })},
	{Name: "stale-read", Doc: "a query is answered without proof of leadership.", Expect: []string{"linearizability"}, faults: leaderCuts,
		seams: func() *sim.Seams { return &sim.Seams{StaleReads: true} }},
}
