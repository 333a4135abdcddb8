package fsm

import (
	"fmt"

	"lockstep/canister"
)

// Inspect asks a canister, on the newest published state, whether it would take an update: refusal is empty if so. A node asks
// before it puts a message into a round, to keep those out that a canister does not want; it is no part of the replicated
// state, and no protection: another node may let the message in. A canister that has nothing to inspect with, or that
// is not there, refuses nothing: the round will tell. Nor is a message refused that its session knows already.
func (m *Machine) Inspect(msg *Message) (refusal string, err error) {
	p, err := m.acquire()
	if err != nil {
		return "", err
	}
	refusal, err = m.inspect(p, msg)
	if releaseErr := m.release(p); err == nil {
		err = releaseErr
	}
	return refusal, err
}

func (m *Machine) inspect(p *published, msg *Message) (string, error) {
	if s := p.state.sessions.get(msg.Session); s != nil && s.Sequence >= msg.Sequence {
		return "", nil
	}
	record := p.state.canisterNamed(msg.Canister)
	if record == nil || record.Life != Running || !record.live.Module().Has(canister.EntryInspect) {
		return "", nil
	}
	env := record.env(&p.state, callerOf(msg.Caller))
	env.Log = m.logOf(record.ID)
	outcome, err := record.live.Inspect(env, record.State, canister.Message{Method: msg.Method, Arg: msg.Arg})
	switch {
	case err != nil:
		return "", fmt.Errorf("inspect %s of canister %s at round %d: %w", msg.Method, msg.Canister, p.state.Round, err)
	case outcome.Accepted:
		return "", nil
	case outcome.Text != "":
		return fmt.Sprintf("canister %q did not accept the message: %s", msg.Canister, outcome.Text), nil
	}
	return fmt.Sprintf("canister %q did not accept the message", msg.Canister), nil
}
