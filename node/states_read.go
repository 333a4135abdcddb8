package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// StateReport is the body of POST /v1/states: a held state, with a hash of each of its parts.
type StateReport struct {
	Node string `json:"node"`
	// ID names the held state in the paths below /v1/states.
	ID           uint64     `json:"id"`
	Round        uint64     `json:"round"`
	Root         string     `json:"root"`
	Index        uint64     `json:"index"`
	Time         int64      `json:"time"`
	NextSession  uint64     `json:"next_session"`
	NextCanister uint64     `json:"next_canister"`
	Limits       fsm.Limits `json:"limits"`
	// Sessions are the parts of the session table that are not empty, Canisters all canisters, both ascending.
	Sessions  []PartReport `json:"sessions"`
	Canisters []PartReport `json:"canisters"`
}

// PartReport is a part of a state: one of 4096 of the session table, or a canister.
type PartReport struct {
	Number uint64 `json:"number"`
	Name   string `json:"name,omitempty"`
	Hash   string `json:"hash"`
}

func newStateReport(h fsm.StateHead) *StateReport {
	out := &StateReport{Round: uint64(h.Round), Root: h.Root.String(), Index: h.Index, Time: h.Time, NextSession: uint64(h.NextSession),
		NextCanister: uint64(h.NextCanister), Limits: h.Limits}
	for _, p := range h.Sessions {
		out.Sessions = append(out.Sessions, PartReport{Number: uint64(p.Number), Hash: p.Hash.String()})
	}
	for _, c := range h.Canisters {
		out.Canisters = append(out.Canisters, PartReport{Number: uint64(c.ID), Name: c.Name, Hash: c.Hash.String()})
	}
	return out
}

// ReadRequest is the body of POST /v1/states/ID/read: which parts of the held state to answer with. Each list has at most 64
// entries, Nodes at most pagetrie.MaxRefs.
type ReadRequest struct {
	Canisters []uint64 `json:"canisters,omitempty"`
	Sessions  []uint64 `json:"sessions,omitempty"`
	// Memory is the name of a memory, as checkpoints have it; Nodes and Pages are of it.
	Memory string    `json:"memory,omitempty"`
	Nodes  []NodeRef `json:"nodes,omitempty"`
	Pages  []uint64  `json:"pages,omitempty"`
}

// NodeRef names the node of a memory's page trie at Depth on the way to Key.
type NodeRef struct {
	Key   uint64 `json:"key"`
	Depth uint8  `json:"depth"`
}

// ReadReply answers a ReadRequest, in its order. A canister that is not there is absent; a page that is all zero is empty.
type ReadReply struct {
	Canisters []CanisterState       `json:"canisters,omitempty"`
	Sessions  []fsm.SessionContents `json:"sessions,omitempty"`
	Nodes     []TrieNode            `json:"nodes,omitempty"`
	Pages     [][]byte              `json:"pages,omitempty"`
}

// CanisterState is a canister without its pages.
type CanisterState struct {
	Contents fsm.CanisterContents `json:"contents"`
	// Memories are its linear memory, its stable memory and its module.
	Memories []MemoryReport `json:"memories"`
}

// MemoryReport is a memory: its size, the pages in it that are not zero, and the root over those.
type MemoryReport struct {
	Name  string `json:"name"`
	Size  uint64 `json:"size_pages"`
	Pages uint64 `json:"pages"`
	Root  string `json:"root"`
}

// TrieNode is a pagetrie.View; Hashes are 32 bytes each, one behind the other.
type TrieNode struct {
	Kind   pagetrie.Kind `json:"kind"`
	Base   uint64        `json:"base"`
	Shift  uint8         `json:"shift"`
	Used   uint32        `json:"used"`
	Keys   []uint64      `json:"keys,omitempty"`
	Hashes []byte        `json:"hashes"`
}

func (r *ReadRequest) validate() error {
	if len(r.Canisters) > maxPartsRead || len(r.Sessions) > maxPartsRead || len(r.Pages) > maxPartsRead || len(r.Nodes) > pagetrie.MaxRefs {
		return fmt.Errorf("%d canisters, %d parts of sessions, %d pages and %d nodes are asked for; at most %d, %d, %d and %d are given at once",
			len(r.Canisters), len(r.Sessions), len(r.Pages), len(r.Nodes), maxPartsRead, maxPartsRead, maxPartsRead, pagetrie.MaxRefs)
	}
	return nil
}

// readState is POST /v1/states/{state}/read.
func (s *server) readState(w http.ResponseWriter, r *http.Request) {
	body, release, err := s.body(w, r, maxReadBody)
	if err != nil {
		s.failCall(w, err)
		return
	}
	defer release()
	var request ReadRequest
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := errors.Join(decoder.Decode(&request), request.validate()); err != nil {
		s.fail(w, http.StatusBadRequest, refused(fmt.Errorf("request to read a state: %w", err)))
		return
	}
	select {
	case s.queries <- struct{}{}:
		defer func() { <-s.queries }()
	case <-r.Context().Done():
		return
	}
	id, _ := strconv.ParseUint(r.PathValue("state"), 10, 64)
	view, done, found := s.holds.use(id)
	if !found {
		s.noState(w, r)
		return
	}
	defer done()
	reply, err := readView(view, &request)
	if damage := new(pagetrie.Unreadable); errors.As(err, &damage) {
		s.fail(w, http.StatusServiceUnavailable, refused(fmt.Errorf("node %s can't read the state: %w", s.node.cfg.ID, err)))
		return
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, refused(err))
		return
	}
	writeJSON(w, http.StatusOK, reply)
}

func readView(v *fsm.StateView, r *ReadRequest) (*ReadReply, error) {
	out := &ReadReply{}
	for _, id := range r.Canisters {
		if c, found := v.Canister(fsm.CanisterID(id)); found {
			out.Canisters = append(out.Canisters, newCanisterState(v, c))
		}
	}
	for _, part := range r.Sessions {
		out.Sessions = append(out.Sessions, v.Sessions(int(part))...)
	}
	if r.Memory == "" {
		return out, nil
	}
	memory, found := v.Memory(r.Memory)
	if !found {
		return nil, fmt.Errorf("there is no memory %q", r.Memory)
	}
	refs := make([]pagetrie.Ref, len(r.Nodes))
	for i, n := range r.Nodes {
		refs[i] = pagetrie.Ref(n)
	}
	views, err := v.Nodes(memory, refs)
	if err != nil {
		return nil, fmt.Errorf("memory %s: %w", r.Memory, err)
	}
	for i := range views {
		out.Nodes = append(out.Nodes, newTrieNode(&views[i]))
	}
	for _, page := range r.Pages {
		bytes, err := v.Page(memory, page)
		if err != nil {
			return nil, fmt.Errorf("memory %s, %w", r.Memory, err)
		}
		out.Pages = append(out.Pages, bytes)
	}
	return out, nil
}

func newCanisterState(v *fsm.StateView, c fsm.CanisterContents) CanisterState {
	out := CanisterState{Contents: c}
	for _, name := range []string{c.Memory, c.Stable, c.Code} {
		m, _ := v.Memory(name)
		out.Memories = append(out.Memories, MemoryReport{Name: name, Size: uint64(m.Size), Pages: uint64(m.Pages.Len()), Root: v.Root(m).String()})
	}
	return out
}

func newTrieNode(v *pagetrie.View) TrieNode {
	n := TrieNode{Kind: v.Kind, Base: v.Base, Shift: v.Shift, Used: v.Used, Keys: v.Keys}
	for i := range v.Hashes {
		n.Hashes = append(n.Hashes, v.Hashes[i][:]...)
	}
	return n
}

// view is the node as it was sent; pagetrie checks it.
func (n *TrieNode) view() (pagetrie.View, error) {
	v := pagetrie.View{Kind: n.Kind, Base: n.Base, Shift: n.Shift, Used: n.Used, Keys: n.Keys}
	if len(n.Hashes)%len(pagetrie.Hash{}) != 0 {
		return v, fmt.Errorf("a node has %d bytes of hashes", len(n.Hashes))
	}
	for b := n.Hashes; len(b) > 0; b = b[len(pagetrie.Hash{}):] {
		v.Hashes = append(v.Hashes, pagetrie.Hash(b))
	}
	return v, nil
}

func parseHash(text string) (h pagetrie.Hash, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%q is not a hash", text)
	}
	return pagetrie.Hash(b), nil
}
