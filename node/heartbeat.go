package node

import "github.com/hashicorp/raft"

// SetHeartbeatHandler implements raft.Transport, and keeps raft's handler from the network. It is called beside raft's own goroutine, as
// appendEntries must not be: in hashicorp/raft 1.7.3 a heartbeat that finds the replica a candidate writes the heartbeat's term, and if
// that takes long, over the term of a candidate that the replica has voted for meanwhile. It votes a second time in that term then, and takes
// entries of the leader before. And one that finds it a follower that has just given its leader up makes it a candidate that knows a
// leader, which refuses everybody its vote.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) { t.Network.SetHeartbeatHandler(t.beat) }

// beat answers a heartbeat of the term in which the replica follows at once, as raft's handler is there to do: a leader is to keep its
// lease while the disks of others are slow. It says no more than that no other term has begun here. That the leader was heard of, and
// everything about any other heartbeat, is raft's to find out in its own time.
func (t *transport) beat(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	r := t.guard.attached()
	if !ok || r == nil || r.State() != raft.Follower || r.CurrentTerm() != req.Term {
		go func() { // who calls is not to wait: raft may have ended, and what ends after it wait for the caller
			select {
			case t.beats <- rpc:
			case <-t.closed:
			}
		}()
		return
	}
	rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: rpcHeader(), Term: req.Term, LastLog: r.LastIndex(), Success: true}, nil)
	select {
	case t.beats <- raft.RPC{Command: req, RespChan: make(chan raft.RPCResponse, 1)}:
	default: // raft has not come to the one before
	}
}
