//go:build cgo

package memstore

// tracker is one mechanism at work on one Memory. Its methods are called by the Memory, on the goroutine that uses it.
// Every error is a failure of the world and breaks the Memory.
type tracker interface {
	// attach lays the memory's version over its range and starts tracking.
	attach() error
	// begin arms tracking for a message.
	begin() error
	// collect appends, in ascending order, runs of pages below m.size that cover every page written since begin.
	collect(runs []run) ([]run, error)
	// committed follows collect when the message's changes are in m.version. Pages from grown on are new to the
	// tracker. changed are the pages that differ from the version before.
	committed(changed []PageIndex, grown PageCount) error
	// rollback puts back the bytes of every page written since begin. collect was not called.
	rollback() error
	// abandon ends a message that is neither kept nor put back; only detach follows.
	abandon()
	// advance brings pages to m.version, which is already the new one. All of them are below m.size.
	advance(pages []PageIndex) error
	// detach stops tracking; the range's contents no longer matter.
	detach() error
}

// mechanisms are what the trackers' names stand for.
var mechanisms = map[Tracker]func(*Memory) tracker{
	TrackerNaive: func(m *Memory) tracker { return newFaulting(m, faultingOptions{}) },
	TrackerPrefetch: func(m *Memory) tracker {
		return newFaulting(m, faultingOptions{mapFiles: true, readWriteBit: true, ahead: true})
	},
	TrackerWholePage: func(m *Memory) tracker {
		return newFaulting(m, faultingOptions{mapFiles: true, readWriteBit: true, whole: true})
	},
	TrackerCow:           newCopying,
	TrackerUffd:          func(m *Memory) tracker { return &marking{m: m} },
	TrackerAdaptive:      newAdaptive,
	TrackerCompare:       func(m *Memory) tracker { return &comparing{m: m} },
	trackerPrefetchMap:   func(m *Memory) tracker { return newFaulting(m, faultingOptions{mapFiles: true}) },
	trackerPrefetchQuery: func(m *Memory) tracker { return newFaulting(m, faultingOptions{readWriteBit: true}) },
	trackerPrefetchAhead: func(m *Memory) tracker { return newFaulting(m, faultingOptions{ahead: true}) },
}

func newTracker(name Tracker, m *Memory) (tracker, error) {
	if name == TrackerAuto {
		name = Probe().Tracker
	}
	if mechanism := mechanisms[name]; mechanism != nil {
		return mechanism(m), nil
	}
	_, err := ParseTracker(string(name))
	return nil, err
}
