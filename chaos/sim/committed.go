package sim

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// errTooLong ends a search.
var errTooLong = fmt.Errorf("the search is given up after %v", explainWithin)

// committedLog is the log that replicas have applied, for repeating it: it gives rounds without what they attest, which a bug may have
// made, and is at an end when the search has taken too long.
type committedLog struct {
	rounds map[uint64]*fsm.Round
	first  map[uint64]*committedRound
	data   map[uint64][]byte
	told   map[fsm.RoundNumber]pagetrie.Hash // by the first replica that applied the round
	last   uint64
	until  time.Duration
}

func newCommittedLog(committed []*committedRound, until time.Duration) *committedLog {
	l := &committedLog{rounds: map[uint64]*fsm.Round{}, first: map[uint64]*committedRound{}, data: map[uint64][]byte{},
		told: map[fsm.RoundNumber]pagetrie.Hash{}, until: until}
	for _, r := range committed {
		round, err := fsm.DecodeRound(r.entry.Data)
		if err != nil {
			continue // it is no round
		}
		round.Attested = fsm.Attestation{}
		data, err := round.Encode()
		if err != nil {
			continue // it was one a moment ago
		}
		l.rounds[r.entry.Index], l.data[r.entry.Index], l.last = round, data, r.entry.Index
		l.first[r.entry.Index], l.told[r.number] = r, r.root
	}
	return l
}

// FirstIndex implements replay.Log.
func (l *committedLog) FirstIndex() (uint64, error) { return 1, nil }

// LastIndex implements replay.Log.
func (l *committedLog) LastIndex() (uint64, error) { return l.last, nil }

// GetLog implements replay.Log.
func (l *committedLog) GetLog(index uint64, entry *raft.Log) error {
	if wallTime() > l.until {
		return errTooLong
	}
	*entry = raft.Log{Index: index, Type: raft.LogNoop}
	if data := l.data[index]; data != nil {
		entry.Type, entry.Data = raft.LogCommand, data
	}
	return nil
}
