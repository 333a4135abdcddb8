package sim

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/raft"
)

// Replicas share no memory: what crosses the network, or is written to a disk, is copied.

func copyEntry(e *raft.Log) *raft.Log {
	c := *e
	c.Data, c.Extensions = bytes.Clone(e.Data), bytes.Clone(e.Extensions)
	return &c
}

func copyHeader(h raft.RPCHeader) raft.RPCHeader {
	h.ID, h.Addr = bytes.Clone(h.ID), bytes.Clone(h.Addr)
	return h
}

// copyCommand copies a request.
func copyCommand(command any) any {
	switch c := command.(type) {
	case *raft.AppendEntriesRequest:
		d := *c
		d.RPCHeader = copyHeader(c.RPCHeader)
		d.Leader = bytes.Clone(c.Leader) //lint:ignore SA1019 raft still sends it, so a copy has it
		d.Entries = make([]*raft.Log, len(c.Entries))
		for i, e := range c.Entries {
			d.Entries[i] = copyEntry(e)
		}
		return &d
	case *raft.RequestVoteRequest:
		d := *c
		d.RPCHeader = copyHeader(c.RPCHeader)
		d.Candidate = bytes.Clone(c.Candidate) //lint:ignore SA1019 raft still sends it, so a copy has it
		return &d
	case *raft.RequestPreVoteRequest:
		d := *c
		d.RPCHeader = copyHeader(c.RPCHeader)
		return &d
	case *raft.TimeoutNowRequest:
		d := *c
		d.RPCHeader = copyHeader(c.RPCHeader)
		return &d
	case *raft.InstallSnapshotRequest:
		d := *c
		d.RPCHeader = copyHeader(c.RPCHeader)
		d.Leader = bytes.Clone(c.Leader)
		d.Peers, d.Configuration = bytes.Clone(c.Peers), bytes.Clone(c.Configuration)
		return &d
	}
	panic(fmt.Sprintf("sim: message of unknown type %T", command))
}

// copyAnswer copies an answer; none stays none.
func copyAnswer(answer any) any {
	switch a := answer.(type) {
	case *raft.AppendEntriesResponse:
		d := *a
		return &d
	case *raft.RequestVoteResponse:
		d := *a
		return &d
	case *raft.RequestPreVoteResponse:
		d := *a
		return &d
	case *raft.TimeoutNowResponse:
		d := *a
		return &d
	case *raft.InstallSnapshotResponse:
		d := *a
		return &d
	}
	return answer
}

// sizeOf is about what a request takes on the wire.
func sizeOf(command any) int {
	size := 64
	if a, ok := command.(*raft.AppendEntriesRequest); ok {
		for _, e := range a.Entries {
			size += 32 + len(e.Data)
		}
	}
	return size
}
