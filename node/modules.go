package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"lockstep/fsm"
)

// Compiling a module takes seconds, and a round that brings one would hold up those behind it for as long, also those of
// other canisters. So the leader asks every node to compile a module before it puts it into a round, which then finds the code
// ready. Nothing depends on that but time: a node that was not asked, or not in time, compiles when the round comes.

// modulesAnswer is the body of an answer of /v1/modules.
type modulesAnswer struct {
	Module string `json:"module"`
}

// compile is POST /v1/modules: this node compiles a Wasm binary, or finds that it has, and keeps the code: for ?canister=NAME under
// that one's limits, and with &limits=CHANGES under those that it will have; without a body it is the canister's own.
func (s *server) compile(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.node.cfg.RequestTimeout)
	defer cancel()
	rep, err := s.node.serving()
	if err != nil {
		s.failCall(w, refused(err))
		return
	}
	body, release, err := s.body(w, r, rep.machine.Limits().ModuleBytes)
	if err != nil {
		s.failCall(w, err)
		return
	}
	defer release()
	values := r.URL.Query()
	code := fsm.Code{Canister: values.Get("canister"), Limits: values.Get("limits")}
	if code.Limits == "" || len(body) > 0 {
		code.Module = body
	}
	hash, err := rep.compile(ctx, code)
	if err != nil {
		s.failCall(w, err)
		return
	}
	writeJSON(w, http.StatusOK, modulesAnswer{Module: hash})
}

// compile compiles a module on this node, on a goroutine of its own that goes on when ctx ends.
func (r *replica) compile(ctx context.Context, code fsm.Code) (hash string, err error) {
	type end struct {
		hash string
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		sum, refusal, err := r.machine.Compile(code)
		if err != nil {
			err = refused(err)
		} else if refusal != "" {
			err = bad("module: %s", refusal)
		}
		ended <- end{sum.String(), err}
	}()
	select {
	case e := <-ended:
		return e.hash, e.err
	case <-ctx.Done():
		return "", refused(fmt.Errorf("the module is still being compiled, try again later: %w", context.Cause(ctx)))
	}
}

// lastNodes is how long the slowest minority of the nodes is waited for at least once a majority has compiled a module. They
// are given as long again as the majority took.
const lastNodes = 2 * time.Second

// compileEverywhere has code compiled by this node, which must succeed, and by the others, as far as they answer. What is no
// module is refused before anybody is asked.
func (s *server) compileEverywhere(ctx context.Context, rep *replica, code fsm.Code) error {
	if refusal := rep.machine.Refusal(code); refusal != "" {
		return bad("module: %s", refusal)
	}
	start, peers := time.Now(), s.node.cfg.Peers
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan bool, len(peers))
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()
	for _, peer := range peers {
		if peer.ID != s.node.cfg.ID {
			asked.Go(func() { answers <- s.askToCompile(ctx, peer, code) })
		}
	}
	if _, err := rep.compile(ctx, code); err != nil {
		return err
	}
	ready, late := 1, (<-chan time.Time)(nil)
	for range len(peers) - 1 {
		if late == nil && ready > len(peers)/2 {
			late = time.After(max(lastNodes, time.Since(start)))
		}
		select {
		case ok := <-answers:
			if ok {
				ready++
			}
		case <-late:
			return nil
		case <-ctx.Done():
			return refused(fmt.Errorf("other nodes still compile the module, try again later: %w", context.Cause(ctx)))
		}
	}
	return nil
}

// askToCompile asks another node; false means that it will not have the code ready, for whatever reason.
func (s *server) askToCompile(ctx context.Context, peer Peer, code fsm.Code) bool {
	values := url.Values{"canister": {code.Canister}, "limits": {code.Limits}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+peer.HTTP+"/v1/modules?"+values.Encode(), bytes.NewReader(code.Module))
	if err == nil {
		var response *http.Response
		if response, err = s.forward.Do(request); err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
				err = fmt.Errorf("it answered with HTTP status %d", response.StatusCode)
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		s.node.logger.Warn("another node did not compile a module ahead of its round", "peer", peer.ID, "err", err)
	}
	return err == nil
}
