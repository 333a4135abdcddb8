package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// HeldState is a state of one replica, held there for reading until Drop.
type HeldState struct {
	StateReport
	client *Client
	addr   string
	// Trips counts the requests, Read the bytes of their answers as they are in memory: hashes and pages.
	Trips, Read uint64
	// NodesRead and PagesRead count the nodes of page tries and the pages in those.
	NodesRead, PagesRead uint64
}

// NewestRound stands for a node's newest round, in HoldState.
const NewestRound = uint64(fsm.NewestRound)

// HoldState has a node hold its state after a round. A round to come is waited for a few seconds; one that the
// node has left behind is a *CallError with the HTTP status 409.
func (c *Client) HoldState(ctx context.Context, addr string, round uint64) (*HeldState, error) {
	path := "/v1/states"
	if round != NewestRound {
		path += fmt.Sprintf("?round=%d", round)
	}
	h := &HeldState{client: c, addr: addr, Trips: 1}
	return h, c.try(ctx, addr, call{path: path}, &h.StateReport)
}

// Drop lets the node give the state up.
func (h *HeldState) Drop(ctx context.Context) error {
	return h.client.try(ctx, h.addr, call{method: http.MethodDelete, path: fmt.Sprintf("/v1/states/%d", h.ID)}, &struct{}{})
}

// ReadState reads parts of the state in one request.
func (h *HeldState) ReadState(ctx context.Context, request ReadRequest) (*ReadReply, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	h.Trips++
	reply := &ReadReply{}
	if err := h.client.try(ctx, h.addr, call{path: fmt.Sprintf("/v1/states/%d/read", h.ID), body: body}, reply); err != nil {
		return nil, err
	}
	for i := range reply.Nodes {
		h.Read += uint64(len(reply.Nodes[i].Hashes))
	}
	h.NodesRead += uint64(len(reply.Nodes))
	h.PagesRead += uint64(len(reply.Pages))
	for _, p := range reply.Pages {
		h.Read += uint64(len(p))
	}
	return reply, nil
}

// Pages reads pages of a memory, at most 64; one that is all zero is empty.
func (h *HeldState) Pages(ctx context.Context, memory string, pages []uint64) ([][]byte, error) {
	reply, err := h.ReadState(ctx, ReadRequest{Memory: memory, Pages: pages})
	if err != nil {
		return nil, err
	}
	if len(reply.Pages) != len(pages) {
		return nil, fmt.Errorf("node at %s answers %d pages for %d", h.addr, len(reply.Pages), len(pages))
	}
	for i, p := range reply.Pages {
		if len(p) != 0 && len(p) != pageBytes {
			return nil, fmt.Errorf("node at %s answers page %d with %d bytes", h.addr, pages[i], len(p))
		}
	}
	return reply.Pages, nil
}

const pageBytes = 4096

// Map is a memory of the state for pagetrie's walks over hashes. It is used with ctx.
func (h *HeldState) Map(ctx context.Context, m MemoryReport) (pagetrie.Remote, error) {
	root, err := parseHash(m.Root)
	if err != nil {
		return nil, fmt.Errorf("root of memory %s of node at %s: %w", m.Name, h.addr, err)
	}
	return &heldMap{ctx: ctx, state: h, memory: m, root: root}, nil
}

// heldMap implements pagetrie.Remote.
type heldMap struct {
	ctx    context.Context
	state  *HeldState
	memory MemoryReport
	root   pagetrie.Hash
}

func (m *heldMap) Head() (uint64, pagetrie.Hash) { return m.memory.Pages, m.root }

func (m *heldMap) Nodes(refs []pagetrie.Ref) ([]pagetrie.View, error) {
	request := ReadRequest{Memory: m.memory.Name}
	for _, ref := range refs {
		request.Nodes = append(request.Nodes, NodeRef(ref))
	}
	reply, err := m.state.ReadState(m.ctx, request)
	if err != nil {
		return nil, err
	}
	views := make([]pagetrie.View, len(reply.Nodes))
	for i := range reply.Nodes {
		if views[i], err = reply.Nodes[i].view(); err != nil {
			return nil, fmt.Errorf("node at %s: %w", m.state.addr, err)
		}
	}
	return views, nil
}
