package node

import (
	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// Raft bounds a message to a follower by entries alone, and an entry may hold a module. Its decoder keeps all of a message that comes,
// and takes several times as much while it does.
const (
	// entriesBytes is how much entries one message holds at most, but for a single larger one.
	entriesBytes = 8 << 20
	// messageBytes is the most that a peer may send before it is answered: the largest entry, what is around it, and what is read ahead.
	messageBytes = fsm.MaxRoundBytes + 1<<20
)

// AppendEntries implements raft.AppendPipeline.
func (p *drainedPipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	shorten(req)
	return p.AppendPipeline.AppendEntries(req, resp)
}

// shorten leaves so many entries at the end of a message away that it is within entriesBytes, but never the first. Raft looks at the
// request afterwards to know how far it has sent, and goes on from there.
func shorten(req *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range req.Entries {
		if size += len(e.Data) + len(e.Extensions); i > 0 && size > entriesBytes {
			req.Entries = req.Entries[:i]
			return
		}
	}
}
