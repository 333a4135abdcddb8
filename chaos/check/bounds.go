package check

import "lockstep/chaos/history"

const boundsDoc = `No replica, and not the harness, grows beyond its bounds: goroutines, file descriptors, folders and leftovers on disk, log
entries, memory. Judged by gauge; a gauge without a bound is only shown.`

// Bound is what a gauge must keep to.
type Bound struct {
	// Name is the gauge's name.
	Name string
	// Most is the largest value that is allowed.
	Most uint64
}

// DefaultBounds are generous for clusters of tests. A runner with other sizes gives its own.
func DefaultBounds() []Bound {
	return []Bound{{"goroutines", 2000}, {"descriptors", 1000}, {"checkpoints", 64}, {"leftovers", 8}, {"log-entries", 1 << 20},
		{"memory-bytes", 4 << 30}}
}

// bounds is bounded resources.
type bounds struct {
	most    map[string]uint64
	checked uint64
}

func startBounds(s *Suite) checker {
	c := &bounds{most: map[string]uint64{}}
	for _, b := range s.cfg.Bounds {
		c.most[b.Name] = b.Most
	}
	return c
}

func (c *bounds) observe(e *history.Event) *Violation {
	if e.Kind != history.Gauge {
		return nil
	}
	most, ok := c.most[e.Text]
	if !ok {
		return nil
	}
	c.checked++
	if e.Count > most {
		return broken(e, "%s, at most %d are allowed", e.Words(), most)
	}
	return nil
}

func (c *bounds) finish() Finding { return seen(c.checked, "sizes measured") }

const panicDoc = `No replica ends by a panic. Being crashed by a fault, and stopping with a reason after a failure of its disk, are none. Judged by
panicked; started tells that there was somebody to panic.`

// panics is the absence of panics.
type panics struct{ starts uint64 }

func startPanic(*Suite) checker { return &panics{} }

func (c *panics) observe(e *history.Event) *Violation {
	switch e.Kind {
	case history.Started:
		c.starts++
	case history.Panicked:
		return broken(e, "%s", e.Words())
	}
	return nil
}

func (c *panics) finish() Finding { return seen(c.starts, "starts of nodes") }
