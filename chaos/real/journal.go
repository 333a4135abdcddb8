package real

import (
	"encoding/binary"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/snapshot"
)

// journal tells what goes to a replica's log and knows which entry is which round: round k is the k-th command of the log.
type journal struct {
	config *ReplicaConfig
	faults *storeFaults
	emit   func(history.Event)

	mu      sync.Mutex
	lives   int // openings of the log
	entries map[uint64]entry
	byRound map[uint64]uint64 // index of a round
	first   uint64
	last    uint64
	vote    uint64 // term of the vote under way
	// leads is set while the replica leads; truth are the digests of entries that the planted bug has changed.
	leads atomic.Bool
	truth map[uint64]history.Digest
}

// entry is a log entry: its round is that of the newest command up to it.
type entry struct {
	term, round uint64
	digest      history.Digest
	command     bool
}

func newJournal(c *ReplicaConfig, f *storeFaults, emit func(history.Event)) *journal {
	return &journal{config: c, faults: f, emit: emit}
}

// wrapLogs is node.Wrap.Logs: called whenever the log is opened.
func (j *journal) wrapLogs(under raft.LogStore) raft.LogStore {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lives++
	j.entries, j.byRound = map[uint64]entry{}, map[uint64]uint64{}
	j.first, _ = under.FirstIndex() // the node meets the same error and stops for it
	j.last, _ = under.LastIndex()
	j.learn(under)
	return &journalLog{j: j, under: under}
}

// learn numbers the entries that are there: from the newest checkpoint on, or from the beginning.
func (j *journal) learn(under raft.LogStore) {
	index, round := j.checkpoint()
	if index+1 < j.first {
		return // nothing says which round the log begins with
	}
	j.entries[index] = entry{round: round}
	for i := index + 1; i <= j.last; i++ {
		var l raft.Log
		if under.GetLog(i, &l) != nil {
			return
		}
		j.number(&l)
	}
}

// checkpoint is the index and round of the newest checkpoint on disk, zeros for none.
func (j *journal) checkpoint() (index, round uint64) {
	paths, err := replay.ListCheckpoints(filepath.Join(j.config.Dir, "checkpoints"))
	if err != nil || len(paths) == 0 {
		return 0, 0
	}
	c, err := snapshot.OpenDir(paths[len(paths)-1])
	if err != nil {
		return 0, 0
	}
	defer c.Close()
	return c.Index, c.Round
}

// number takes an entry behind the ones that are known.
func (j *journal) number(l *raft.Log) entry {
	before, known := j.entries[l.Index-1]
	if !known && l.Index > 1 {
		if index, round := j.checkpoint(); index == l.Index-1 {
			before, known = entry{round: round}, true
		}
	}
	e := entry{term: l.Term, round: before.round, digest: digestOf(l)}
	if d, ok := j.truth[l.Index]; ok {
		e.digest = d
	}
	if e.command = l.Type == raft.LogCommand; e.command {
		e.round++
	}
	if known || l.Index == 1 {
		j.entries[l.Index] = e
		if e.command {
			j.byRound[e.round] = l.Index
		}
	}
	return e
}

// digestOf is that of an entry's type and bytes.
func digestOf(l *raft.Log) history.Digest {
	return history.DigestOfParts(byte(l.Type), l.Data, nil)
}

// at finds the entry of a round.
func (j *journal) at(round uint64) (uint64, entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	index, ok := j.byRound[round]
	return index, j.entries[index], ok
}

// size is the number of entries in the log, and last the newest one's index.
func (j *journal) size() (size, last uint64, lives int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.last >= j.first && j.first > 0 {
		size = j.last - j.first + 1
	}
	return size, j.last, j.lives
}

// stored notes entries that are on disk.
func (j *journal) stored(logs []*raft.Log) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range logs {
		e := j.number(l)
		if j.first == 0 || l.Index < j.first {
			j.first = l.Index
		}
		j.last = l.Index
		j.emit(history.Event{Kind: history.Appended, Index: l.Index, Term: l.Term, Digest: e.digest})
	}
}

// deleted notes entries that are gone.
func (j *journal) deleted(low, high uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if low = max(low, 1); low > high { // raft deletes from 0 on in an empty log
		return
	}
	kind := history.Compacted
	if high >= j.last && low > j.first {
		kind = history.Truncated
		for i := low; i <= high; i++ {
			if e := j.entries[i]; e.command {
				delete(j.byRound, e.round)
			}
			delete(j.entries, i)
		}
		j.last = low - 1
	} else {
		j.first = max(j.first, high+1)
		if high >= j.last { // nothing is left: the log goes on behind a checkpoint
			j.first, j.last = 0, 0
		}
	}
	j.emit(history.Event{Kind: kind, Index: low, To: high})
}

// lie is a planted bug: one message reaches this replica, its log and its state machine, with another argument than everybody
// else. The journal goes on telling what the leader has sent.
func (j *journal) lie(entries []*raft.Log) {
	for _, l := range entries {
		round, err := fsm.DecodeRound(l.Data)
		if l.Type != raft.LogCommand || err != nil {
			continue
		}
		for i := range round.Messages {
			m := &round.Messages[i]
			if m.Kind != fsm.KindUpdate || m.Method != "put" || len(m.Arg) == 0 {
				continue
			}
			m.Arg[len(m.Arg)-1] ^= 1 // DecodeRound's messages share nothing with the entry
			data, err := round.Encode()
			if err != nil {
				continue
			}
			j.mu.Lock()
			j.truth = map[uint64]history.Digest{l.Index: digestOf(l)}
			j.mu.Unlock()
			l.Data = data
			j.faults.done("lie")
			return
		}
	}
}

// journalLog is the log with the journal before it.
type journalLog struct {
	j     *journal
	under raft.LogStore
}

func (l *journalLog) FirstIndex() (uint64, error) { return l.under.FirstIndex() }
func (l *journalLog) LastIndex() (uint64, error)  { return l.under.LastIndex() }

func (l *journalLog) GetLog(index uint64, out *raft.Log) error {
	if err := l.j.faults.before(opRead); err != nil {
		return err
	}
	return l.under.GetLog(index, out)
}

func (l *journalLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *journalLog) StoreLogs(entries []*raft.Log) error {
	f := l.j.faults
	if err := f.before(opAppend); err != nil {
		return err
	}
	if err := f.room(sizeOf(entries)); err != nil {
		return err
	}
	if !l.j.leads.Load() && f.wants("lie") {
		l.j.lie(entries)
	}
	if err := l.under.StoreLogs(entries); err != nil {
		return f.full(err)
	}
	l.j.stored(entries)
	f.reached(crashAppend)
	return f.after(opAppend)
}

// sizeOf is the bytes of entries.
func sizeOf(entries []*raft.Log) int {
	bytes := 0
	for _, e := range entries {
		bytes += len(e.Data)
	}
	return bytes
}

func (l *journalLog) DeleteRange(low, high uint64) error {
	f := l.j.faults
	if err := f.before(opTruncate); err != nil {
		return err
	}
	if err := l.under.DeleteRange(low, high); err != nil {
		return f.full(err)
	}
	l.j.deleted(low, high)
	f.reached(crashCompact)
	return f.after(opTruncate)
}

// wrapStable is node.Wrap.Stable.
func (j *journal) wrapStable(under raft.StableStore) raft.StableStore {
	return &journalStable{j: j, StableStore: under}
}

// Names of what hashicorp/raft keeps of a vote.
const (
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// journalStable is the term and the vote with the journal before them.
type journalStable struct {
	raft.StableStore
	j *journal
}

func (s *journalStable) Set(key, value []byte) error {
	return s.write(string(key), value, func() error { return s.StableStore.Set(key, value) })
}

func (s *journalStable) SetUint64(key []byte, value uint64) error {
	data := binary.BigEndian.AppendUint64(nil, value)
	return s.write(string(key), data, func() error { return s.StableStore.SetUint64(key, value) })
}

func (s *journalStable) write(key string, value []byte, write func() error) error {
	f := s.j.faults
	if err := f.before(opVote); err != nil {
		return err
	}
	if err := write(); err != nil {
		return f.full(err)
	}
	switch key {
	case keyVoteTerm:
		s.j.vote = binary.BigEndian.Uint64(value)
	case keyVoteCandidate:
		if len(value) == 0 { // a new replica's first value: nobody
			break
		}
		if peer, err := strconv.Atoi(strings.TrimPrefix(string(value), "n")); err == nil && s.j.vote != 0 {
			s.j.emit(history.Event{Kind: history.Voted, Peer: uint8(peer), Term: s.j.vote})
		}
		f.reached(crashVote)
	}
	return f.after(opVote)
}
