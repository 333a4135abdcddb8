package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/replay"
)

// contents tells what stands behind the numbers of a violation that is not about states: what the replicas have at a log entry and how
// that differs, and what was in a round that an answer has not seen.
func (c *cluster) contents(v *check.Violation) []string {
	var lines []string
	entries := map[uint64]bool{}
	for i := range v.Evidence {
		switch e := &v.Evidence[i]; e.Kind {
		case history.Appended, history.Applied, history.Committed, history.Truncated:
			if !entries[e.Index] {
				entries[e.Index] = true
				lines = append(lines, c.entryWords(e.Index)...)
			}
		case history.Returned:
			if e.Round > v.Round {
				lines = append(lines, c.roundWords(e.Round)...)
			}
		}
	}
	return lines
}

// entryWords tells what each replica has at an index of its log.
func (c *cluster) entryWords(index uint64) []string {
	if index == 0 {
		return nil
	}
	var lines []string
	first, owner := (*raft.Log)(nil), 0
	if r := c.log[index]; r != nil {
		first = &r.entry
		lines = append(lines, fmt.Sprintf("entry %d of term %d is round %d where it was applied first", index, r.entry.Term, r.number))
		lines = append(lines, replay.RoundWords(r.entry.Data)...)
	}
	for _, m := range c.members {
		e, _ := m.logged(index)
		switch {
		case e == nil:
			lines = append(lines, fmt.Sprintf("the log of node %d has no entry %d", m.number, index))
		case first == nil:
			first, owner = e, m.number
			lines = append(lines, fmt.Sprintf("node %d has entry %d of term %d", m.number, index, e.Term))
			lines = append(lines, replay.RoundWords(e.Data)...)
		case e.Term == first.Term && bytes.Equal(e.Data, first.Data):
			lines = append(lines, fmt.Sprintf("node %d has the same entry", m.number))
		default:
			other := "the one that was applied"
			if owner != 0 {
				other = fmt.Sprintf("that of node %d", owner)
			}
			lines = append(lines, fmt.Sprintf("node %d has another entry of term %d, against %s:", m.number, e.Term, other))
			lines = append(lines, replay.CompareRounds(e.Data, first.Data)...)
		}
	}
	return lines
}

// firstDifferent is the first index of an entry that was applied and that a log has another entry in the place of, or that most logs have
// lost; 0 if there is none.
func (c *cluster) firstDifferent() uint64 {
	for _, index := range slices.Sorted(maps.Keys(c.log)) {
		applied, lack := &c.log[index].entry, 0
		for _, m := range c.members {
			switch e, compacted := m.logged(index); {
			case compacted:
			case e == nil:
				lack++
			case e.Term != applied.Term || !bytes.Equal(e.Data, applied.Data):
				return index
			}
		}
		if lack > len(c.members)/2 {
			return index
		}
	}
	return 0
}

// logged is the entry that the replica has at an index; nil for none, which may have been compacted.
func (m *member) logged(index uint64) (entry *raft.Log, compacted bool) {
	image := &m.device.image
	if l := m.current(); l != nil && l.disk != nil {
		l.disk.mu.Lock()
		defer l.disk.mu.Unlock()
		image = &l.disk.image
	}
	if index < image.first || index > image.last() {
		return nil, index < image.first
	}
	return image.log[index-image.first], false
}

// roundWords tells the messages of a round that was applied.
func (c *cluster) roundWords(number uint64) []string {
	for _, r := range c.log {
		if uint64(r.number) == number {
			return append([]string{fmt.Sprintf("round %d (entry %d), which was not seen:", number, r.entry.Index)}, replay.RoundWords(r.entry.Data)...)
		}
	}
	return nil
}
