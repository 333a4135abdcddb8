package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"lockstep/fsm"
)

// Bounds of the states that clients hold for reading. A held state keeps its pages in memory while rounds go on.
const (
	maxHeldStates = 4
	heldIdle      = 15 * time.Second
	heldMost      = 2 * time.Minute
	// heldWait bounds the wait for a round to come.
	heldWait = 5 * time.Second
	// maxPartsRead bounds the canisters, parts of the session table or pages in one answer.
	maxPartsRead = 64
	maxReadBody  = 64 << 10
)

// holds are the states that clients read, by number.
type holds struct {
	// mu guards the fields below.
	mu     sync.Mutex
	closed bool
	next   uint64
	held   map[uint64]*hold
}

// hold is one held state; it ends when it is not used for a while, and after heldMost whatever happens.
type hold struct {
	view  *fsm.StateView
	end   time.Time
	timer *time.Timer
	users int // requests that read it
	ended bool
}

var errTooManyHeld = errors.New("too many states are held for reading at once")

// add takes a view over.
func (h *holds) add(v *fsm.StateView) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.held) >= maxHeldStates {
		return 0, errors.Join(fmt.Errorf("%w: %d, each for at most %v", errTooManyHeld, len(h.held), heldMost), v.Release())
	}
	if h.held == nil {
		h.held = map[uint64]*hold{}
	}
	h.next++
	id := h.next
	h.held[id] = &hold{view: v, end: time.Now().Add(heldMost), timer: time.AfterFunc(heldIdle, func() { h.drop(id) })}
	return id, nil
}

// use gives a held state to a request; done ends the use.
func (h *holds) use(id uint64) (v *fsm.StateView, done func(), found bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.held[id]
	if held == nil {
		return nil, nil, false
	}
	held.users++
	held.timer.Reset(max(min(heldIdle, time.Until(held.end)), 0))
	return held.view, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		held.users--
		held.release()
	}, true
}

// drop ends a hold, once the requests that read it are done; false if there is none.
func (h *holds) drop(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.held[id]
	if held == nil {
		return false
	}
	delete(h.held, id)
	held.timer.Stop()
	held.ended = true
	held.release()
	return true
}

func (h *hold) release() {
	if h.ended && h.users == 0 {
		_ = h.view.Release() // the machine stops by itself with what this finds
	}
}

// close ends all holds; requests have ended.
func (h *holds) close() {
	h.mu.Lock()
	h.closed = true
	ids := make([]uint64, 0, len(h.held))
	for id := range h.held {
		ids = append(ids, id)
	}
	h.mu.Unlock()
	for _, id := range ids {
		h.drop(id)
	}
}

// holdState is POST /v1/states?round=N: it holds the state after a round, and describes it.
func (s *server) holdState(w http.ResponseWriter, r *http.Request) {
	round, err := queryNumber(r, "round", numbers{absent: uint64(fsm.NewestRound), high: 1 << 63})
	if err != nil {
		s.fail(w, http.StatusBadRequest, refused(err))
		return
	}
	m := s.node.machine()
	if m == nil {
		_, err := s.node.serving()
		s.fail(w, http.StatusServiceUnavailable, refused(fmt.Errorf("no state is at hand: %w", err)))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), heldWait)
	defer cancel()
	view, err := m.View(ctx, fsm.RoundNumber(round))
	var gone *fsm.StateGoneError
	switch {
	case errors.As(err, &gone):
		s.fail(w, http.StatusConflict, refused(err))
		return
	case err != nil:
		s.fail(w, http.StatusServiceUnavailable, refused(err))
		return
	}
	id, err := s.holds.add(view)
	if err != nil {
		s.fail(w, http.StatusTooManyRequests, refused(err))
		return
	}
	report := newStateReport(view.Head())
	report.Node, report.ID = s.node.cfg.ID, id
	writeJSON(w, http.StatusOK, report)
}

// dropState is DELETE /v1/states/{state}.
func (s *server) dropState(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseUint(r.PathValue("state"), 10, 64)
	if !s.holds.drop(id) {
		s.noState(w, r)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *server) noState(w http.ResponseWriter, r *http.Request) {
	s.fail(w, http.StatusNotFound, refused(fmt.Errorf("state %q is not held: it was given up after %v without use or %v in all, or never was; POST /v1/states holds one",
		r.PathValue("state"), heldIdle, heldMost)))
}
