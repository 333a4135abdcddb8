package sim

import "time"

// drifting is a clock that goes wrong little by little.
type drifting struct {
	from  time.Time
	over  time.Duration
	total time.Duration
}

func (m *member) skewNow() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.drift; d != nil {
		share := min(float64(time.Since(d.from))/float64(d.over), 1)
		return m.skew + time.Duration(share*float64(d.total))
	}
	return m.skew
}
