package check

import (
	"context"
	"errors"
	"fmt"

	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

const replayDoc = `Repeating the committed log on another state machine gives the same root after every round and the same replies: from the empty state,
and from checkpoints that the run wrote, with other options than the replicas had. Judged against applied, executed and returned by the
replays that the runner supplies.`

// Replay repeats a part of the run's committed log.
type Replay struct {
	// Name says from what and with which options: "empty state, tracker=compare".
	Name string
	// Run calls visit after each round, ascending, and stops when it returns an error, with that error.
	Run func(ctx context.Context, visit func(Replayed) error) error
}

// Replayed is one round as a replay found it.
type Replayed struct {
	Round, Index uint64
	Root         pagetrie.Hash
	// Results are those of messages in sessions; the others may be left out.
	Results []Result
}

// Result is one message of a replayed round.
type Result struct {
	Session, Sequence uint64
	// Ran is as in history.Event, Reply the digest of the reply; 0 is not compared.
	Ran   uint64
	Reply history.Digest
}

// replayed is replay equivalence.
type replayed struct {
	suite   *Suite
	replies map[message]history.Event
}

func startReplayed(s *Suite) checker {
	return &replayed{suite: s, replies: map[message]history.Event{}}
}

func (c *replayed) observe(e *history.Event) *Violation {
	if e.Kind == history.Executed && e.Session != 0 && e.Ran != 0 && e.Digest != 0 && len(c.suite.cfg.Replays) > 0 {
		c.replies[message{e.Session, e.Sequence}] = *e
	}
	return nil
}

func (c *replayed) finish() Finding {
	return Finding{State: Unseen, Of: "rounds repeated", Reason: "the runner supplied no replay"}
}

// mismatch carries a violation out of a replay.
type mismatch struct{ *Violation }

func (m mismatch) Error() string { return m.Sentence }

// run runs the replays.
func (c *replayed) run(ctx context.Context) Finding {
	f := c.finish()
	for _, r := range c.suite.cfg.Replays {
		f.State, f.Reason, f.Outside = Held, "", true
		before := f.Checked
		err := r.Run(ctx, func(got Replayed) error {
			f.Checked++
			if v := c.compare(r.Name, &got); v != nil {
				return mismatch{v}
			}
			return nil
		})
		var m mismatch
		if errors.As(err, &m) {
			f.State, f.Violation = Broken, m.Violation
			return f
		}
		if err != nil {
			f.State, f.Reason = Open, fmt.Sprintf("replay from %s: %v", r.Name, err)
			return f
		}
		if f.Checked == before {
			f.State, f.Reason = Open, fmt.Sprintf("the replay from %s repeated no round", r.Name)
			return f
		}
	}
	return f
}

func (c *replayed) compare(name string, got *Replayed) *Violation {
	if t := c.suite.truth.at(got.Round); t != nil {
		want := &t.first
		if want.Root != (pagetrie.Hash{}) && got.Root != want.Root {
			v := broken(want, "round %d: repeated from %s it gives root %s, node %d had root %s", got.Round, name,
				history.ShortRoot(got.Root), want.Node, history.ShortRoot(want.Root))
			v.Roots = []Witness{nodeWitness(want), witness("the replay from "+name, got.Root)}
			return v
		}
		if got.Index != 0 && got.Index != want.Index {
			return broken(want, "round %d: repeated from %s it is entry %d, on node %d it was entry %d", got.Round, name, got.Index,
				want.Node, want.Index)
		}
	}
	for _, r := range got.Results {
		e, ok := c.replies[message{r.Session, r.Sequence}]
		if ok && r.Ran == e.Ran && r.Reply != 0 && r.Reply != e.Digest {
			return broken(&e, "message %d of session %d: repeated from %s it gives the reply %s, node %d gave %s", r.Sequence, r.Session,
				name, r.Reply, e.Node, e.Digest)
		}
	}
	return nil
}
