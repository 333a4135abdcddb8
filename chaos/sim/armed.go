package sim

import (
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// armed is a crash that waits for a step.
type armed struct {
	step  plan.Mode
	power plan.Power
	after int
	fault int
	hit   bool
}

// arm makes the replica crash at a step.
func (m *member) arm(a *armed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed = a
}

// armedFor takes the crash that waits for a step of a life. One that is to tear an append waits for one of several entries: there is nothing
// to tear in one.
func (m *member) armedFor(l *life, step plan.Mode, parts int) (plan.Power, int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.armed
	if a == nil || a.step != step || a.hit || m.life != l || step == plan.InAppend && a.power == plan.Torn && parts < 2 {
		return "", 0, false
	}
	if a.after > 0 {
		a.after--
		return "", 0, false
	}
	a.hit, m.wanted = true, false
	if step == plan.InInstall || step == plan.InRestore {
		m.c.record(history.Event{Kind: history.Mark, Node: uint8(m.number), Text: string(history.MarkCrashedInInstall)})
	}
	return a.power, a.fault, true
}

// disarm takes back a crash that waits, and says whether it has happened.
func (m *member) disarm(a *armed) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.armed == a {
		m.armed = nil
	}
	return a.hit
}
