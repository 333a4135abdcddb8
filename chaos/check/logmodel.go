package check

import "lockstep/chaos/history"

// logModel is every replica's log as far as its writes were recorded.
type logModel struct {
	nodes []nodeLog
}

// nodeLog is one log. entries may miss some; snap is the index up to which a checkpoint stands for them.
type nodeLog struct {
	seen       bool // anything was ever recorded
	entries    map[uint64]history.Event
	last, snap uint64
}

func newLogModel(replicas int) *logModel {
	m := &logModel{nodes: make([]nodeLog, replicas)}
	for i := range m.nodes {
		m.nodes[i].entries = map[uint64]history.Event{}
	}
	return m
}

func (m *logModel) learn(e *history.Event) {
	if e.Node == 0 {
		return
	}
	n := &m.nodes[e.Node-1]
	switch e.Kind {
	case history.Appended:
		n.seen = true
		n.entries[e.Index] = *e
		n.last = max(n.last, e.Index)
	case history.Truncated:
		n.cut(e.Index, e.To)
		if e.To >= n.last {
			n.last = min(n.last, e.Index-1)
		}
	case history.Compacted:
		n.cut(e.Index, e.To)
	case history.Started:
		// Writes that were not synced may be gone, and writes that failed may be there; what the log begins with again is what counts.
		n.cut(e.To+1, n.last)
		n.last, n.snap = e.To, e.Index
	case history.Published, history.Installed:
		n.snap = max(n.snap, e.Index)
	}
}

// cut drops entries from first to last.
func (n *nodeLog) cut(first, last uint64) {
	if last < first {
		return
	}
	if last-first > uint64(len(n.entries)) {
		for i := range n.entries {
			if i >= first && i <= last {
				delete(n.entries, i)
			}
		}
		return
	}
	for i := first; i <= last; i++ {
		delete(n.entries, i)
	}
}

// in gives the entries from first to last that are recorded.
func (n *nodeLog) in(first, last uint64, yield func(history.Event) bool) {
	if last-first > uint64(len(n.entries)) {
		for i, e := range n.entries {
			if i >= first && i <= last && !yield(e) {
				return
			}
		}
		return
	}
	for i := first; i <= last; i++ {
		if e, ok := n.entries[i]; ok && !yield(e) {
			return
		}
	}
}
