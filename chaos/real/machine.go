package real

import (
	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/fsm"
	"lockstep/node"
)

// wrapMachine is node.Wrap.Machine.
func (j *journal) wrapMachine(under node.Machine) node.Machine {
	return &journalMachine{Machine: under, emit: j.emit, pending: map[fsm.Ref]messageID{}}
}

// messageID is a message of a session.
type messageID struct{ session, sequence uint64 }

// journalMachine is the state machine, with what it answers to each message of a session told before anybody else hears of it: so that a
// client who is told something else was lied to, although the states agree.
type journalMachine struct {
	node.Machine
	emit func(history.Event)
	// pending are messages whose canister waits for others, as far as this process has seen them come. Raft applies one entry at a time.
	pending map[fsm.Ref]messageID
}

// Apply implements raft.FSM.
func (m *journalMachine) Apply(entry *raft.Log) any {
	ids := sessionMessages(entry)
	response := m.Machine.Apply(entry)
	result, ok := response.(*fsm.RoundResult)
	if !ok {
		return response
	}
	for i, id := range ids {
		if i >= len(result.Results) {
			break
		}
		if r := &result.Results[i]; r.Status == fsm.StatusPending {
			m.pending[r.Ref] = id
		} else {
			m.executed(result, uint32(i), id, r)
		}
	}
	for i := range result.Completed {
		done := &result.Completed[i]
		m.executed(result, uint32(done.Ref.Position), m.pending[done.Ref], &done.Result)
		delete(m.pending, done.Ref)
	}
	return response
}

// executed tells of a message that was answered. One whose canister waited for others counts as run in the round that answered it.
func (m *journalMachine) executed(round *fsm.RoundResult, slot uint32, id messageID, r *fsm.Result) {
	if id.session == 0 || !ran(r.Status) {
		return
	}
	m.emit(history.Event{Kind: history.Executed, Index: round.Index, Round: uint64(round.Round), Slot: slot, Session: id.session,
		Sequence: id.sequence, Ran: uint64(r.Round), Digest: history.DigestOfParts(byte(r.Status), r.Reply, []byte(r.Text))})
}

// sessionMessages names the messages of an entry in their order; none if it is no round.
func sessionMessages(entry *raft.Log) []messageID {
	if entry.Type != raft.LogCommand {
		return nil
	}
	round, err := fsm.DecodeRound(entry.Data)
	if err != nil {
		return nil // the machine says so
	}
	ids := make([]messageID, len(round.Messages))
	for i := range round.Messages {
		ids[i] = messageID{uint64(round.Messages[i].Session), round.Messages[i].Sequence}
	}
	return ids
}
