package node

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// joiner keeps a replica with a new, empty folder from voting, and from being voted for, until it knows what the cluster has committed.
//
// The folder may replace one that was lost. What that one had acknowledged is gone, and a majority may have counted on it: a
// vote for a candidate that lacks those entries would lose them for good. So a joining replica votes only for candidates that
// are as new as itself, as when a cluster begins, and stands for election only as long as it is as new: with a part of what it had
// acknowledged, it could be elected by a voter that has still less. It has joined when it holds an entry of the current leader's own
// term that is committed, in its log or as the last one of a checkpoint: it has everything committed before then. A marker keeps this
// through restarts.
//
// A cluster of one has nobody to join. A larger one that begins is not to hang if its first leader ends before it could tell what is committed. When a replica that is new
// is elected, everybody in its majority is, so nothing is committed: who has voted for it, or is it, has joined with that.
//
// A replica that has set its log aside is joining strictly: it certainly belonged to a cluster with a history, so it votes for
// nobody, and never for itself.
type joiner struct {
	marker Marker
	logger *slog.Logger
	log    raft.LogStore
	// checkpoints are this replica's.
	checkpoints checkpointLister
	on          atomic.Bool
	strict      bool
	// voted and stood are the newest terms in which the replica, new itself, has voted for another that is new, and has asked for votes.
	voted, stood atomic.Uint64
	// founded is the term in which this replica leads a cluster that begins.
	founded atomic.Uint64
}

// strictMarker is a Marker that tells a folder whose log was set aside from one that is new.
type strictMarker interface{ Strictly() (bool, error) }

// checkpointLister is the part of a raft.SnapshotStore that says what is there.
type checkpointLister interface {
	List() ([]*raft.SnapshotMeta, error)
}

// newestOfNew is the last log index of a replica that holds nothing but the cluster's first configuration.
const newestOfNew = 1

func newJoiner(marker Marker, log raft.LogStore, checkpoints checkpointLister, logger *slog.Logger) (*joiner, error) {
	j := &joiner{marker: marker, logger: logger, log: log, checkpoints: checkpoints}
	on, err := marker.Joining()
	j.on.Store(on)
	if m, ok := marker.(strictMarker); ok && on && err == nil {
		j.strict, err = m.Strictly()
	}
	return j, err
}

// abstains reports whether the replica gives no vote to a candidate with this last log index, which may be itself.
func (j *joiner) abstains(last uint64) bool { return j.on.Load() && (last > newestOfNew || j.strict) }

// stands reports whether the replica may ask others for their votes, with this last log index.
func (j *joiner) stands(last uint64) bool {
	if !j.abstains(last) {
		return true
	}
	j.logger.Warn("did not stand for election: "+untilJoined, "file", j.marker.String(), "index", last)
	return false
}

// leads reports whether the replica, nil before there is one, may add an entry of a term to its log. One whose membership, as far as it has got it back, is of
// itself alone needs no vote to lead, and would commit entries in the place of those that it has lost.
func (j *joiner) leads(r runningRaft, entry *raft.Log) bool {
	if r == nil {
		return false
	}
	switch r.State() { // only a leader adds entries of its own
	case raft.Follower, raft.Candidate:
		return true
	case raft.Shutdown: // it may have led until now
		return false
	}
	if entry.Term == j.founded.Load() {
		return true
	}
	if !j.stands(entry.Index - 1) {
		return false
	}
	j.founded.Store(entry.Term)
	return true
}

// joiningLog is the log of a replica that may be joining: entries that it would add as a leader of its own making are refused, at
// which raft steps down.
type joiningLog struct {
	raft.LogStore
	joiner *joiner
	guard  *installGuard // which knows the replica
}

// StoreLog implements raft.LogStore.
func (l *joiningLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l *joiningLog) StoreLogs(entries []*raft.Log) error {
	if l.joiner.on.Load() && len(entries) > 0 && !l.joiner.leads(l.guard.attached(), entries[0]) {
		return errJoining
	}
	return l.LogStore.StoreLogs(entries)
}

// untilJoined is what one can do about a joining replica that a cluster has no majority without.
const untilJoined = "this folder is new and the cluster is not; it votes and leads once a leader has brought it up to date. " +
	"If no leader can come back, and losing what it acknowledged is acceptable, stop the node and remove the file"

// errJoining answers a leader that would hand on to a joining replica.
var errJoining = errors.New("the replica's folder is new, and it does not lead before it has everything that is committed")

// withhold answers a candidate that a joining replica must not vote for, and a leader that would hand on to it.
func (j *joiner) withhold(rpc raft.RPC, term uint64) bool {
	if !j.on.Load() {
		return false
	}
	header := rpcHeader()
	var last uint64
	var answer any
	switch req := rpc.Command.(type) {
	case *raft.RequestVoteRequest:
		last, answer = req.LastLogIndex, &raft.RequestVoteResponse{RPCHeader: header, Term: term}
	case *raft.RequestPreVoteRequest:
		last, answer = req.LastLogIndex, &raft.RequestPreVoteResponse{RPCHeader: header, Term: term}
	case *raft.TimeoutNowRequest:
		rpc.Respond(&raft.TimeoutNowResponse{RPCHeader: header}, errJoining)
		return true
	default:
		return false
	}
	if !j.abstains(last) {
		return false
	}
	j.logger.Warn("withheld a vote: "+untilJoined, "file", j.marker.String(), "index", last)
	rpc.Respond(answer, nil)
	return true
}

func rpcHeader() raft.RPCHeader { return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax} }

// note remembers a term in which a candidate with this last log index had the replica's vote: in voted or stood.
func (j *joiner) note(in *atomic.Uint64, last, term uint64) {
	if j.on.Load() && last <= newestOfNew {
		in.Store(term)
	}
}

// elected is told the term in which another replica leads, with in voted, or this one, with stood. For another one it must be told
// before that one's first entry is in the log.
func (j *joiner) elected(in *atomic.Uint64, term uint64) {
	if j.on.Load() && in.Load() == term {
		j.joined("term", term)
	}
}

// committed is told a log index that a leader of a term says is committed, and ends the joining when the entry there shows
// that nothing committed before is missing. A marker that can't be removed keeps the replica joining.
func (j *joiner) committed(index, term uint64) {
	if !j.on.Load() || index == 0 {
		return
	}
	if held, err := j.termAt(index); err != nil || held != term {
		return
	}
	j.joined("index", index, "term", term)
}

// joined ends the joining.
func (j *joiner) joined(by ...any) {
	if err := j.marker.Joined(); err != nil {
		j.logger.Error("joining could not be ended", "err", err)
		return
	}
	if j.on.Swap(false) {
		j.logger.Info("joined the cluster", by...)
	}
}

// termAt gives the term of an entry in the log, or of the last entry in a checkpoint: a checkpoint that was sent may hold all that is
// committed, and in a cluster at rest nothing follows it into the log.
func (j *joiner) termAt(index uint64) (uint64, error) {
	var entry raft.Log
	err := j.log.GetLog(index, &entry)
	if !errors.Is(err, raft.ErrLogNotFound) {
		return entry.Term, err
	}
	metas, listErr := j.checkpoints.List()
	for _, meta := range metas {
		if meta.Index == index {
			return meta.Term, listErr
		}
	}
	return 0, errors.Join(err, listErr)
}
