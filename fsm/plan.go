package fsm

import (
	"encoding/binary"
	"fmt"

	"lockstep/pagetrie"
)

// A round is applied in steps. Planning walks the messages in log order and decides for each whether it runs; it needs no
// canister to run for that. What may run in parallel is collected as the canisters' turns; a message that changes a canister's
// life waits for all that was planned before it.

// roundWork is the state of one round while it is applied.
type roundWork struct {
	machine *Machine
	round   *Round
	next    State
	results []Result
	// completed are earlier rounds' messages that were answered in this one.
	completed []Completion
	// seed is the round's randomness: nobody knows it before the state before the round is known.
	seed pagetrie.Hash

	// newest is, for each session that has run a message in this round, the position of the newest.
	newest map[SessionID]int
	// copies are messages that repeat an earlier one of the same round: their result is that one's.
	copies map[int]int
	// turns are the canisters that have a part in the round; left are those of canisters that were deleted in it.
	turns map[CanisterID]*turn
	left  []*turn
	// queueBytes is what waits in all queues, once weighed.
	queueBytes uint64
	weighed    bool
}

func (m *Machine) newRoundWork(round *Round) *roundWork {
	next := m.state
	next.Round++
	next.Time = max(next.Time+1, round.Time)
	return &roundWork{
		machine: m, round: round, next: next,
		results: make([]Result, len(round.Messages)),
		newest:  make(map[SessionID]int), copies: make(map[int]int),
		turns: make(map[CanisterID]*turn), seed: roundSeed(m.Latest().Root, next.Time),
	}
}

func roundSeed(before pagetrie.Hash, time int64) pagetrie.Hash {
	return hashParts("lockstep/seed/1", binary.BigEndian.AppendUint64(before[:], uint64(time)))
}

// run applies the round's messages to w.next. An error means that the world failed.
func (w *roundWork) run() error {
	for _, c := range w.next.canisters {
		if w.wakes(c) {
			w.turn(c.ID)
		}
	}
	for i := range w.round.Messages {
		if err := w.plan(i); err != nil {
			return err
		}
	}
	if err := w.execute(); err != nil {
		return err
	}
	for i, earlier := range w.copies {
		w.results[i] = w.results[earlier]
	}
	if err := w.route(); err != nil {
		return err
	}
	if err := w.readBack(); err != nil {
		return err
	}
	return w.keepResults()
}

func (w *roundWork) plan(i int) error {
	msg := &w.round.Messages[i]
	if err := msg.Validate(); err != nil {
		w.refuse(i, err.Error())
		return nil
	}
	if msg.Kind == KindOpenSession {
		return w.openSession(i)
	}
	if msg.Session != 0 && !w.admit(i) {
		return nil
	}
	if uint64(len(msg.Arg)) > w.next.Limits.ArgBytes {
		w.refuse(i, fmt.Sprintf("argument is %d bytes long, the cluster allows %d", len(msg.Arg), w.next.Limits.ArgBytes))
		return nil
	}
	if msg.Kind != KindUpdate {
		return w.change(i)
	}
	if msg.Canister == ManagementCanister {
		if err := w.execute(); err != nil {
			return err
		}
		return w.manage(w.client(i), msg.Method, msg.Arg)
	}
	id, found := w.machine.names[msg.Canister]
	if !found {
		w.refuse(i, fmt.Sprintf("there is no canister %q", msg.Canister))
		return nil
	}
	t := w.turn(id)
	t.jobs = append(t.jobs, i)
	return nil
}

// admit decides by its session whether message i runs. If not, its result is set or it is noted as a copy.
func (w *roundWork) admit(i int) bool {
	msg := &w.round.Messages[i]
	s := w.next.sessions.get(msg.Session)
	if s == nil {
		w.results[i] = Result{Status: StatusSessionExpired, Round: w.next.Round,
			Text: fmt.Sprintf("session %d is not open: open a new one", msg.Session)}
		return false
	}
	newest, stored := s.Sequence, true
	earlier, ranNow := w.newest[msg.Session]
	if ranNow {
		newest, stored = w.round.Messages[earlier].Sequence, false
	}
	switch {
	case msg.Sequence > newest:
		w.newest[msg.Session] = i
		w.machine.order.used(msg.Session)
		return true
	case msg.Sequence < newest:
		w.results[i] = Result{Status: StatusStale, Round: w.next.Round,
			Text: fmt.Sprintf("sequence number %d of session %d is older than %d, which ran already", msg.Sequence, msg.Session, newest)}
	case stored:
		w.results[i] = s.storedResult()
	default:
		w.copies[i] = earlier
	}
	return false
}

func (s *session) storedResult() Result {
	result := s.Result
	if s.ReplyDropped {
		result.Text = fmt.Sprintf("the message ran in round %d; its reply was too long to be kept for a retry", result.Round)
	}
	return result
}

func (w *roundWork) refuse(i int, reason string) {
	w.results[i] = Result{Status: StatusRefused, Text: reason, Round: w.next.Round}
}

// use is the value of session.LastUse for message i: it grows over rounds and within a round.
func (w *roundWork) use(i int) uint64 { return uint64(w.next.Round)<<20 | uint64(i) }

func (w *roundWork) openSession(i int) error {
	sessions := &w.next.sessions
	for sessions.count >= w.next.Limits.Sessions {
		sessions.remove(w.next.Round, w.machine.order.oldest())
	}
	id := w.next.NextSession
	w.next.NextSession++
	w.machine.order.used(id)
	w.results[i] = Result{Status: StatusReplied, Round: w.next.Round, Reply: binary.BigEndian.AppendUint64(nil, uint64(id))}
	return sessions.put(w.next.Round, &session{ID: id, LastUse: w.use(i)})
}

// keepResults stores the newest result of every session that ran a message in this round. A session that was evicted
// meanwhile stays evicted.
func (w *roundWork) keepResults() error {
	for i := range w.round.Messages {
		id := w.round.Messages[i].Session
		if newest, ran := w.newest[id]; !ran || newest != i || w.next.sessions.get(id) == nil {
			continue
		}
		s := &session{ID: id, LastUse: w.use(i), Sequence: w.round.Messages[i].Sequence}
		w.keep(s, w.results[i])
		if err := w.next.sessions.put(w.next.Round, s); err != nil {
			return err
		}
	}
	return nil
}

// keep puts a result into a session that is not in the table yet.
func (w *roundWork) keep(s *session, result Result) {
	s.Result, s.ReplyDropped = result, false
	if uint64(len(result.Reply)) > w.next.Limits.SessionReplyBytes {
		s.Result.Reply, s.ReplyDropped = nil, true
	}
}
