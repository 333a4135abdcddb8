package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// maxAnswerBytes bounds an answer that one node or client takes from another: a reply in base64 and what is around it.
const maxAnswerBytes = 160 << 20

// pass hands a request, whose body has been read, on to the leader, once, and its answer back.
func (s *server) pass(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	rep := s.node.current()
	if rep == nil {
		_, err := s.node.serving()
		s.end(w, name, nil, refused(err))
		return
	}
	_, leader := rep.raft.LeaderWithID()
	peer, known := s.node.cfg.peer(string(leader))
	switch from := r.Header.Get(headerForwarded); {
	case from != "":
		s.end(w, name, nil, refused(fmt.Errorf("%w, though node %s took it for one: try again", errNotLeader, from)))
		return
	case !known || peer.ID == s.node.cfg.ID:
		s.end(w, name, nil, refused(fmt.Errorf("%w and knows none: an election is under way, or no majority of the nodes can be reached; try again", errNotLeader)))
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+peer.HTTP+pathOf(r), bytes.NewReader(body))
	if err != nil {
		s.end(w, name, nil, refused(err))
		return
	}
	request.Header.Set(headerForwarded, s.node.cfg.ID)
	for _, h := range [...]string{headerSession, headerSequence, headerCaller, headerArg} {
		if v := r.Header.Get(h); v != "" {
			request.Header.Set(h, v)
		}
	}
	s.node.metrics.forwarded.Inc()
	code, answer, err := exchange(s.forward, request)
	if err != nil {
		s.end(w, name, nil, fmt.Errorf("forward to the leader, node %s at %s: %w", peer.ID, peer.HTTP, err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(answer) // a client that has left is told nothing
}

// exchange sends a request and reads the whole answer. An error is classified: before the first byte was sent nothing can
// have happened, after that anything.
func exchange(client *http.Client, r *http.Request) (code int, answer []byte, err error) {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }, WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) }}
	response, err := client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		if sent.Load() {
			return 0, nil, unknown(err)
		}
		return 0, nil, refused(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return 0, nil, unknown(fmt.Errorf("read answer: %w", err))
	case len(answer) > maxAnswerBytes:
		return 0, nil, unknown(errors.New("answer is too long"))
	}
	return response.StatusCode, answer, nil
}
