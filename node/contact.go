package node

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// contacts are what other replicas have answered last, in this replica's own term: each followed it at some time after that was sent.
type contacts struct {
	mu   sync.Mutex
	last map[raft.ServerID]contact
}

type contact struct {
	term uint64
	sent time.Time
}

func (c *contacts) note(id raft.ServerID, term uint64, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.last[id]; term < last.term || term == last.term && sent.Before(last.sent) {
		return
	}
	if c.last == nil {
		c.last = map[raft.ServerID]contact{}
	}
	c.last[id] = contact{term, sent}
}

// since reports whether a replica has answered something of a term that was sent at a time or later.
func (c *contacts) since(id raft.ServerID, term uint64, start time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[id]
	return last.term == term && !last.sent.Before(start)
}

// AppendEntries implements raft.Transport, and notes who answers. Heartbeats go this way.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	shorten(req)
	sent := time.Now()
	err := t.Network.AppendEntries(id, target, req, resp)
	if err == nil && resp.Term == req.Term {
		t.contacts.note(id, req.Term, sent)
	}
	return err
}

// leadership is raft, and who follows it.
type leadership struct {
	*raft.Raft
	self     raft.ServerID
	contacts *contacts
}

// FollowedSince reports whether a majority is known to have followed this leader of a term at some time after start.
func (l *leadership) FollowedSince(term uint64, start time.Time) bool {
	future := l.GetConfiguration()
	if future.Error() != nil {
		return false
	}
	voters, following := 0, 0
	for _, s := range future.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == l.self || l.contacts.since(s.ID, term, start) {
			following++
		}
	}
	return following > voters/2
}
