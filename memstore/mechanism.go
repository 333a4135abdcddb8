//go:build cgo

package memstore

// Tracking gives each memory that is attached the mechanism that tracks it. A Tracker is one, by its name.
type Tracking interface {
	// Track makes the mechanism of m, which is about to be attached as c says.
	Track(m *Memory, c MemoryConfig) (Mechanism, error)
}

// Mechanism is a tracker at work on one Memory. Its methods are called by the Memory, on the goroutine that uses it. Every error
// is a failure of the world and breaks the Memory. All are made here; another package can put a layer around one by embedding it. Under a
// layer nothing is brought in between messages.
type Mechanism interface {
	// Attach lays the memory's version over its range and starts tracking.
	Attach() error
	// begin arms tracking for a message.
	begin() error
	// Collect appends, in ascending order, runs of pages below the memory's size that cover every page written since begin.
	Collect(runs []PageRun) ([]PageRun, error)
	// committed follows Collect when the message's changes are in m.version. Pages from grown on are new to the
	// tracker. changed are the pages that differ from the version before.
	committed(changed []PageIndex, grown PageCount) error
	// Rollback puts back the bytes of every page written since begin. Collect was not called.
	Rollback() error
	// abandon ends a message that is neither kept nor put back; only detach follows.
	abandon()
	// advance brings pages to m.version, which is already the new one. All of them are below m.size.
	advance(pages []PageIndex) error
	// detach stops tracking; the range's contents no longer matter.
	detach() error
}

// mechanisms are what the trackers' names stand for.
var mechanisms = map[Tracker]func(*Memory) Mechanism{
	TrackerNaive: func(m *Memory) Mechanism { return newFaulting(m, faultingOptions{}) },
	TrackerPrefetch: func(m *Memory) Mechanism {
		return newFaulting(m, faultingOptions{mapFiles: true, readWriteBit: true, ahead: true})
	},
	TrackerWholePage: func(m *Memory) Mechanism {
		return newFaulting(m, faultingOptions{mapFiles: true, readWriteBit: true, whole: true})
	},
	TrackerCow:           newCopying,
	TrackerUffd:          func(m *Memory) Mechanism { return &marking{m: m} },
	TrackerAdaptive:      newAdaptive,
	TrackerCompare:       func(m *Memory) Mechanism { return &comparing{m: m} },
	trackerPrefetchMap:   func(m *Memory) Mechanism { return newFaulting(m, faultingOptions{mapFiles: true}) },
	trackerPrefetchQuery: func(m *Memory) Mechanism { return newFaulting(m, faultingOptions{readWriteBit: true}) },
	trackerPrefetchAhead: func(m *Memory) Mechanism { return newFaulting(m, faultingOptions{ahead: true}) },
}

// Track implements Tracking.
func (t Tracker) Track(m *Memory, _ MemoryConfig) (Mechanism, error) {
	if t == TrackerAuto {
		t = Probe().Tracker
	}
	if mechanism := mechanisms[t]; mechanism != nil {
		return mechanism(m), nil
	}
	_, err := ParseTracker(string(t))
	return nil, err
}
