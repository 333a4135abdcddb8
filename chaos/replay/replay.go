package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// FromEmpty as Config.From begins with the empty state of a new cluster.
const FromEmpty = "empty"

// Log is where rounds come from: a raft.LogStore, of which only reading is used.
type Log interface {
	FirstIndex() (uint64, error)
	LastIndex() (uint64, error)
	GetLog(index uint64, entry *raft.Log) error
}

// Options are what the machine is made with. None of it may change a root: that is what a replay shows.
type Options struct {
	// Tracker and Workers are as in fsm.Config.
	Tracker memstore.Tracker
	Workers int
	// OptLevel and ModuleCache are as in canister.EngineConfig.
	OptLevel    canister.OptLevel
	ModuleCache string
}

// Machine is what rounds are repeated on: an *fsm.Machine, or a layer around one.
type Machine interface {
	ApplyRound(index uint64, round *fsm.Round) (*fsm.RoundResult, error)
	RestoreCheckpoint(c *snapshot.Checkpoint) error
	Snapshot() (raft.FSMSnapshot, error)
	Latest() fsm.Attestation
	Close() error
}

// Config says what to repeat and what to compare with.
type Config struct {
	// Log holds the rounds. Required.
	Log Log
	// Checkpoints are folders of checkpoints of this log; roots are compared with theirs, and one of them may be the start.
	Checkpoints []string
	// From is where to begin: FromEmpty, or a checkpoint folder. "" is the oldest that the log reaches back to.
	From string
	// To is the last round to repeat; 0 means all.
	To fsm.RoundNumber
	// Options are for the machine.
	Options Options
	// Open makes the machine that is examined; nil is an fsm.Machine with Options.
	Open func() (Machine, error)
	// Known gives roots that the caller knows of rounds, from replicas that reported them; nil knows none.
	Known func(fsm.RoundNumber) (pagetrie.Hash, bool)
	// Visit is told each round that was repeated, after it was compared; an error ends the replay with it. nil ignores it.
	Visit func(*fsm.RoundResult) error
	// Scratch is a folder for what a search writes, the changes of up to three states; "" is the system's for temporary files.
	Scratch string
}

// Report is what a replay found. It is complete with or without a Finding.
type Report struct {
	// From is FromEmpty or the checkpoint's folder, FromRound its round.
	From      string          `json:"from"`
	FromRound fsm.RoundNumber `json:"from_round"`
	// Round is the last round that was repeated, Root the root after it, Index its log entry.
	Round    fsm.RoundNumber `json:"round"`
	Root     Root            `json:"root"`
	Index    uint64          `json:"index"`
	Rounds   uint64          `json:"rounds"`
	Messages uint64          `json:"messages"`
	// Attested and Known count the rounds whose root was compared with one that a later round attests, that the caller knows.
	Attested uint64 `json:"attested"`
	Known    uint64 `json:"known"`
	// LastAttested is the newest of the attested: rounds behind it may not have been committed.
	LastAttested fsm.RoundNumber `json:"last_attested"`
	// Checkpoints are those of Config.Checkpoints that lie on the way or could not be used.
	Checkpoints []CheckpointReport `json:"checkpoints"`
	Elapsed     time.Duration      `json:"elapsed_ns"`
	// Finding is the first difference; nil if there is none.
	Finding *Finding `json:"finding,omitempty"`
}

// CheckpointReport says what became of a checkpoint.
type CheckpointReport struct {
	Path  string          `json:"path"`
	Round fsm.RoundNumber `json:"round"`
	Index uint64          `json:"index"`
	// Compared: its root equals that of the replay. Otherwise Note says why it was not compared, or that it differs.
	Compared bool   `json:"compared"`
	Note     string `json:"note,omitempty"`
}

// EntryError reports a log entry that can't be repeated.
type EntryError struct {
	Index uint64
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("log entry %d: %v", e.Index, e.Err) }

// Unwrap gives the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// ErrStart marks a start from which the log can't be repeated.
var ErrStart = errors.New("the log can't be repeated from there")

// Replay repeats the log and compares. A difference is a Finding in the report; the error is for what could not be done. When
// ctx ends, so does the replay, between two rounds.
func Replay(ctx context.Context, c Config) (Report, error) {
	began := time.Now()
	p := &player{cfg: c, ctx: ctx, roots: map[fsm.RoundNumber]pagetrie.Hash{}}
	err := p.run()
	p.report.Elapsed = time.Since(began)
	return p.report, err
}

// player is a replay on its way.
type player struct {
	cfg     Config
	ctx     context.Context
	source  *source
	start   start
	waiting []*checkpointInfo // not compared yet, by index
	machine Machine
	// roots are those found so far; confirmed is the newest round whose root somebody else knows too.
	roots     map[fsm.RoundNumber]pagetrie.Hash
	confirmed fsm.RoundNumber
	report    Report
}

func (p *player) run() (err error) {
	if p.source, err = openSource(&p.cfg); err != nil {
		return err
	}
	defer p.source.close()
	if p.start, err = p.source.choose(p.cfg.From); err != nil {
		return err
	}
	if p.machine, err = p.source.subject(p.start); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.machine.Close()) }()
	at := p.machine.Latest()
	p.report.From, p.report.FromRound, p.report.Round, p.report.Root = p.start.name, at.Round, at.Round, Root(at.Root)
	p.report.Index = p.start.index
	p.confirmed, p.roots[at.Round] = at.Round, at.Root
	if p.cfg.To != 0 && at.Round > p.cfg.To {
		return fmt.Errorf("%w: %s is of round %d, and the last round to repeat is %d; begin from an older checkpoint", ErrStart, p.start.name, at.Round, p.cfg.To)
	}
	p.waitFor(p.source.checkpoints)
	suspect, err := p.play()
	if err != nil || suspect == nil {
		return err
	}
	p.report.Finding, err = p.source.search(p.ctx, p.start, suspect)
	return err
}

// waitFor sorts out the checkpoints that can be compared on the way.
func (p *player) waitFor(all []*checkpointInfo) {
	for _, c := range all {
		switch {
		case c.err != nil:
			p.report.Checkpoints = append(p.report.Checkpoints, CheckpointReport{Path: c.path, Note: c.err.Error()})
		case c.Index > p.start.index:
			p.waiting = append(p.waiting, c)
		case c.path != p.start.name:
			p.note(c, false, "it is older than the start")
		}
	}
}

func (p *player) note(c *checkpointInfo, compared bool, note string) {
	p.report.Checkpoints = append(p.report.Checkpoints, CheckpointReport{Path: c.path, Round: fsm.RoundNumber(c.Round), Index: c.Index, Compared: compared, Note: note})
}

// play applies the log until it ends or a root differs.
func (p *player) play() (*suspect, error) {
	for index := p.start.index + 1; index <= p.source.last; index++ {
		if err := p.ctx.Err(); err != nil {
			return nil, context.Cause(p.ctx)
		}
		round, err := p.source.round(index)
		if p.cfg.To != 0 && p.report.Round >= p.cfg.To && (round != nil || err != nil) {
			return p.readAhead(index), nil
		}
		if err != nil {
			return nil, err
		}
		if round != nil {
			if s, err := p.step(index, round); s != nil || err != nil {
				return s, err
			}
		}
		if s := p.compareCheckpoints(index); s != nil {
			return s, nil
		}
	}
	for _, c := range p.waiting {
		p.note(c, false, fmt.Sprintf("the log ends before it, at index %d", p.source.last))
	}
	return nil, nil
}

// readAhead compares the last rounds with what the rounds from a log entry on attest, and repeats none of those. It ends where the
// last round is attested, with the log, or at an entry that can't be read: that one was not to be repeated.
func (p *player) readAhead(index uint64) *suspect {
	in := p.report.Round
	for ; index <= p.source.last && p.report.LastAttested < p.report.Round && p.ctx.Err() == nil; index++ {
		round, err := p.source.round(index)
		if err != nil {
			return nil
		}
		if round == nil {
			continue
		}
		in++
		if round.Attested.Round > p.report.Round {
			return nil // and so do all that follow
		}
		if s := p.attested(round.Attested, in); s != nil {
			return s
		}
	}
	return nil
}

// attested compares with what a round attests.
func (p *player) attested(a fsm.Attestation, in fsm.RoundNumber) *suspect {
	own, known := p.roots[a.Round]
	if !known || a.Round == 0 {
		return nil
	}
	if own != a.Root {
		return p.suspect(a.Round, a.Root, fmt.Sprintf("attested in round %d", in))
	}
	p.report.Attested++
	p.report.LastAttested = max(p.report.LastAttested, a.Round)
	p.confirmed = max(p.confirmed, a.Round)
	return nil
}

// step applies one round and compares what it attests and what is known of it.
func (p *player) step(index uint64, round *fsm.Round) (*suspect, error) {
	if s := p.attested(round.Attested, p.report.Round+1); s != nil {
		return s, nil
	}
	result, err := apply(p.machine, index, round)
	if err != nil {
		return nil, err
	}
	p.roots[result.Round] = result.Root
	p.report.Round, p.report.Root, p.report.Index = result.Round, Root(result.Root), index
	p.report.Rounds++
	p.report.Messages += uint64(len(round.Messages))
	if p.cfg.Known != nil {
		if root, ok := p.cfg.Known(result.Round); ok && root != result.Root {
			return p.suspect(result.Round, root, "reported by a replica"), nil
		} else if ok {
			p.report.Known++
			p.confirmed = max(p.confirmed, result.Round)
		}
	}
	if p.cfg.Visit != nil {
		return nil, p.cfg.Visit(result)
	}
	return nil, nil
}

// apply gives a round to a machine without what it attests: the machine would stop where the search has to go on.
func apply(m Machine, index uint64, round *fsm.Round) (*fsm.RoundResult, error) {
	bare := *round
	bare.Attested = fsm.Attestation{}
	result, err := m.ApplyRound(index, &bare)
	if err != nil {
		return nil, &EntryError{Index: index, Err: err}
	}
	return result, nil
}

// compareCheckpoints compares with the checkpoints of a log entry that was just applied.
func (p *player) compareCheckpoints(index uint64) *suspect {
	for len(p.waiting) > 0 && p.waiting[0].Index <= index {
		c := p.waiting[0]
		p.waiting = p.waiting[1:]
		if c.Root == p.machine.Latest().Root {
			p.note(c, true, "")
			p.confirmed = max(p.confirmed, p.report.Round)
			continue
		}
		p.note(c, false, "its root differs")
		s := p.suspect(p.report.Round, c.Root, "checkpoint "+c.path)
		s.checkpoint = c
		return s
	}
	return nil
}

func (p *player) suspect(round fsm.RoundNumber, want pagetrie.Hash, says string) *suspect {
	since := p.confirmed
	if since >= round { // a later root was confirmed: only the start is certainly before the difference
		since = p.report.FromRound
	}
	return &suspect{round: round, got: p.roots[round], want: want, says: says, since: since, roots: p.roots}
}
