package fsm

import (
	"fmt"

	"lockstep/canister"
)

// Inspect asks a canister, on the newest published state, whether it would take an update: refusal is empty if so. A node asks
// before it puts a message into a round, to keep those out that a canister does not want; it is no part of the replicated
// state, and no protection: another node may let the message in. A canister that has nothing to inspect with, or that
// is not there, refuses nothing: the round will tell.
func (m *Machine) Inspect(q Query) (refusal string, err error) {
	p, err := m.acquire()
	if err != nil {
		return "", err
	}
	refusal, err = m.inspect(p, q)
	if releaseErr := m.release(p); err == nil {
		err = releaseErr
	}
	return refusal, err
}

func (m *Machine) inspect(p *published, q Query) (string, error) {
	record := p.state.canisterNamed(q.Canister)
	if record == nil || record.Life != Running || !record.live.Module().Has(canister.EntryInspect) {
		return "", nil
	}
	env := record.env(&p.state, q.Caller)
	env.Log = m.logOf(record.ID)
	outcome, err := record.live.Inspect(env, record.State, canister.Message{Method: q.Method, Arg: q.Arg})
	switch {
	case err != nil:
		return "", fmt.Errorf("inspect %s of canister %s at round %d: %w", q.Method, q.Canister, p.state.Round, err)
	case outcome.Accepted:
		return "", nil
	case outcome.Text != "":
		return fmt.Sprintf("canister %q did not accept the message: %s", q.Canister, outcome.Text), nil
	}
	return fmt.Sprintf("canister %q did not accept the message", q.Canister), nil
}
