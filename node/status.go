package node

import (
	"encoding/hex"
	"errors"
	"os"
	"time"

	"lockstep/fsm"
)

// Status describes the node now, in every state.
func (n *Node) Status() StatusReport {
	n.mu.Lock()
	r, state, reason, restarts, setAside := n.replica, n.state, n.reason, n.restarts, n.setAside
	n.mu.Unlock()
	s := StatusReport{Node: n.cfg.ID, Cluster: n.cfg.ClusterID, State: state, Role: "stopped", Canisters: []CanisterReport{},
		Started: n.started, Uptime: time.Since(n.started).Seconds(), Restarts: restarts,
		PID: os.Getpid(), CheckpointsTaken: n.metrics.checkpointsTaken.Load(), Installed: n.metrics.checkpointsInstalled.Load(),
		SetAside: setAside, Transfers: n.metrics.transfers.reports(), Tracker: string(n.cfg.Tracker), OptLevel: string(n.cfg.OptLevel), DataDir: n.cfg.DataDir}
	for _, p := range n.cfg.Peers {
		s.Peers = append(s.Peers, PeerReport(p))
	}
	if reason != nil {
		s.Reason = reason.Error()
	}
	var diverged *fsm.DivergedError
	if errors.As(reason, &diverged) {
		s.Divergence = &DivergenceReport{Round: uint64(diverged.Round), FoundAt: uint64(diverged.FoundAt),
			Own: diverged.Own.String(), Attested: diverged.Attested.String()}
	}
	if m := n.machine(); m != nil {
		s.describeMachine(m.Status())
	}
	if r != nil {
		s.describeReplica(r, &n.cfg)
	}
	return s
}

func (s *StatusReport) describeMachine(m fsm.MachineStatus) {
	s.Round, s.Root, s.Index = uint64(m.Round), hex.EncodeToString(m.Root[:]), m.Index
	s.Time, s.Sessions = m.Time, m.Sessions
	for _, c := range m.Canisters {
		s.Canisters = append(s.Canisters, CanisterReport{ID: uint64(c.ID), Name: c.Name,
			Module: hex.EncodeToString(c.Module[:]), MemoryBytes: c.MemoryBytes, PagesUsed: c.PagesUsed,
			Life: c.Life.String(), Version: c.Version, Queued: c.Queued, Outstanding: c.Outstanding})
	}
}

func (s *StatusReport) describeReplica(r *replica, cfg *Config) {
	_, leader := r.raft.LeaderWithID()
	peer, _ := cfg.peer(string(leader))
	s.Role, s.Term = roleName(r.raft.State()), r.raft.CurrentTerm()
	s.Leader, s.LeaderHTTP = string(leader), peer.HTTP
	s.Raft = RaftIndexes{Last: r.raft.LastIndex(), Commit: r.raft.CommitIndex(), Applied: r.raft.AppliedIndex()}
	s.Checkpoints, s.Joining = r.checkpointer.status(), r.joiner.on.Load()
	if s.Joining {
		s.JoiningFile = r.joiner.marker.String()
	}
}
