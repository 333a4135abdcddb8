package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// checkpointState is what a checkpoint says of itself.
type checkpointState struct {
	round uint64
	root  pagetrie.Hash
}

type checkpointKey struct {
	node  int
	index uint64
}

func (c *cluster) keepCheckpoint(node int, index uint64, s checkpointState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checkpoints[checkpointKey{node, index}] = s
}

func (c *cluster) checkpointState(node int, index uint64) checkpointState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checkpoints[checkpointKey{node, index}]
}

// digest is that of a log entry's kind and bytes.
func (c *cluster) digest(e *raft.Log) history.Digest {
	return history.DigestOfParts(byte(e.Type), e.Data, e.Extensions)
}

// messageID is a message of a round, as sessions know it.
type messageID struct{ session, sequence uint64 }

// committedRound is an entry that a replica has applied.
type committedRound struct {
	entry raft.Log
	ids   []messageID
	// time is the clock of the leader that proposed it.
	time time.Time
	// digest is that of the entry.
	digest history.Digest
	// number and root are what the first replica that applied it has found.
	number fsm.RoundNumber
	root   pagetrie.Hash
}

// round gives the committed round at an index; the first replica that applies it decodes it for all.
func (c *cluster) round(entry *raft.Log, data []byte) *committedRound {
	c.mu.Lock()
	r := c.log[entry.Index]
	c.mu.Unlock()
	if r != nil && r.entry.Term == entry.Term && string(r.entry.Data) == string(data) {
		return r
	}
	r = &committedRound{entry: raft.Log{Index: entry.Index, Term: entry.Term, Type: entry.Type, Data: data}}
	r.digest = c.digest(&raft.Log{Type: entry.Type, Data: data, Extensions: entry.Extensions})
	if round, err := fsm.DecodeRound(data); err == nil {
		r.time = time.Unix(0, round.Time)
		for i := range round.Messages {
			m := &round.Messages[i]
			r.ids = append(r.ids, messageID{uint64(m.Session), m.Sequence})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log[entry.Index] == nil {
		c.log[entry.Index] = r
		c.commits++
	}
	return r
}

// newestRound is the newest round that any replica has applied.
func (c *cluster) newestRound() fsm.RoundNumber {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest
}

// applied records a round and its messages.
func (l *life) applied(entry *raft.Log, data []byte, result *fsm.RoundResult) {
	c := l.m.c
	round := c.round(entry, data)
	c.mu.Lock()
	if round.number == 0 {
		round.number, round.root = result.Round, result.Root
	}
	c.mu.Unlock()
	l.m.reached(entry.Index)
	c.mu.Lock()
	c.newest = max(c.newest, result.Round)
	c.mu.Unlock()
	l.record(history.Event{Kind: history.Applied, Index: entry.Index, Term: entry.Term, Round: uint64(result.Round), Root: result.Root,
		Digest: round.digest})
	for i := range result.Results {
		if i >= len(round.ids) {
			break
		}
		if r := &result.Results[i]; r.Status == fsm.StatusPending {
			c.mu.Lock()
			c.pending[r.Ref] = round.ids[i]
			c.mu.Unlock()
		} else {
			l.executed(entry.Index, result.Round, uint32(i), round.ids[i], r)
		}
	}
	for i := range result.Completed {
		done := &result.Completed[i]
		c.mu.Lock()
		id := c.pending[done.Ref]
		c.mu.Unlock()
		l.executed(entry.Index, result.Round, uint32(done.Ref.Position), id, &done.Result)
	}
}

// executed records a message that was answered. One whose canister waited for others counts as run in the round that answered it.
func (l *life) executed(index uint64, round fsm.RoundNumber, slot uint32, id messageID, r *fsm.Result) {
	if r.Status == fsm.StatusOutOfFuel {
		l.record(history.Event{Kind: history.Mark, Index: index, Round: uint64(round), Text: string(history.MarkOutOfFuel)})
	}
	if id.session == 0 {
		return
	}
	l.record(history.Event{Kind: history.Executed, Index: index, Round: uint64(round), Slot: slot, Session: id.session, Sequence: id.sequence,
		Ran: ranIn(r), Digest: digestOf(r)})
}

// ranIn is the round in which a message ran the first time, 0 if it did not run.
func ranIn(r *fsm.Result) uint64 {
	switch r.Status {
	case fsm.StatusRefused, fsm.StatusSessionExpired, fsm.StatusStale:
		return 0
	}
	return uint64(r.Round)
}

// digestOf is that of what a client is told; never 0.
func digestOf(r *fsm.Result) history.Digest {
	return history.DigestOfParts(byte(r.Status), r.Reply, []byte(r.Text))
}

// configured records a membership.
func (c *cluster) configured(l *life, index uint64, conf raft.Configuration) {
	if index <= 1 {
		return
	}
	var words []string
	for _, v := range votersOf(conf) {
		words = append(words, strconv.Itoa(v))
	}
	l.record(history.Event{Kind: history.Configured, Index: index, Text: strings.Join(words, ",")})
}

// asked implements tap: what a replica asks of others gives its part away.
func (l *life) asked(command any) {
	switch req := command.(type) {
	case *raft.AppendEntriesRequest:
		// A leader has voted for itself. A candidate may ask others before its own vote is on the disk.
		if l.m.role(l, history.Leader, req.Term) {
			l.record(history.Event{Kind: history.Voted, Peer: uint8(l.m.number), Term: req.Term})
		}
	case *raft.RequestVoteRequest:
		l.m.role(l, history.Candidate, req.Term)
	}
}

// answered implements tap.
func (l *life) answered(command, answer any) {
	req, ok := command.(*raft.RequestVoteRequest)
	if resp, is := answer.(*raft.RequestVoteResponse); ok && is && resp.Granted {
		l.record(history.Event{Kind: history.Voted, Peer: uint8(replicaOf(req.Addr)), Term: req.Term})
	}
}

// sending implements tap.
func (l *life) sending(to int, index, term uint64) uint64 {
	number := l.m.c.streams.Add(1)
	l.record(history.Event{Kind: history.InstallSent, Peer: uint8(to), Index: index, Term: term, Sequence: number})
	return number
}

// sent implements tap.
func (l *life) sent(to int, req *raft.InstallSnapshotRequest, read *body) {
	l.m.c.keepInstall(l.m.number, to, req, read)
}

// installing implements tap.
func (l *life) installing(from int, req *raft.InstallSnapshotRequest, number uint64) {
	l.mu.Lock()
	l.sender = from
	l.mu.Unlock()
	l.record(history.Event{Kind: history.InstallBegin, Peer: uint8(from), Index: req.LastLogIndex, Term: req.LastLogTerm, Count: uint64(req.Size),
		Sequence: number})
}

// refusedInstall implements tap.
func (l *life) refusedInstall(from int, req *raft.InstallSnapshotRequest, reason string) {
	l.record(history.Event{Kind: history.InstallFailed, Peer: uint8(from), Index: req.LastLogIndex, Text: reason})
	if strings.Contains(reason, "bad at offset") || strings.Contains(reason, "damaged") {
		l.record(history.Event{Kind: history.CheckpointRefused, Peer: uint8(from), Index: req.LastLogIndex, Text: reason})
	}
}

// damaged is told by the checkpoint store of what it set aside.
func (l *life) damaged(id string, err error) {
	l.record(history.Event{Kind: history.CheckpointRefused, Index: checkpointIndex(id), Text: err.Error()})
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.aside <- struct{}{}:
	default:
	}
}

// refused records a checkpoint that the replica would not write or begin with, unless its disk or its power is the reason.
func (l *life) refused(index uint64, err error) {
	for _, world := range []error{errIO, syscall.ENOSPC, errDead, snapshot.ErrClosed} {
		if errors.Is(err, world) {
			return
		}
	}
	l.record(history.Event{Kind: history.CheckpointRefused, Index: index, Text: err.Error()})
}

// checkpointIndex is the log index in a checkpoint's name, 0 if it is named otherwise.
func checkpointIndex(id string) (index uint64) {
	_, _ = fmt.Sscanf(id, "checkpoint-%d-", &index)
	return index
}

// unread records a checkpoint that a failing disk did not give while the replica starts. False: err is not that of a disk.
func (l *life) unread(index uint64, err error) bool {
	if !errors.Is(err, errIO) {
		return false
	}
	l.mu.Lock()
	starting := !l.began
	l.mu.Unlock()
	if starting {
		l.record(history.Event{Kind: history.CheckpointUnread, Index: index, Text: err.Error()})
	}
	return true
}

// optionsText is a replica's options as a plan has them.
func optionsText(o plan.Options) string {
	p := plan.Plan{Replicas: []plan.Options{o}}
	for line := range strings.SplitSeq(p.String(), "\n") {
		if text, ok := strings.CutPrefix(line, "replica 1 "); ok {
			return text
		}
	}
	return "default options"
}
