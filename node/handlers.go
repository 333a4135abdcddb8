package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
)

// errBad marks a request that is wrong in itself: sending it again is of no use.
var errBad = errors.New("bad request")

func bad(format string, args ...any) error {
	return &errBody{http.StatusBadRequest, fmt.Errorf("%w: %w", errBad, fmt.Errorf(format, args...))}
}

// update is POST /v1/canisters/{canister}/update/{method}.
func (s *server) update(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindUpdate, "update")
}

// install is POST /v1/canisters/{canister}, with ?mode=upgrade or reinstall for a canister that is there.
func (s *server) install(w http.ResponseWriter, r *http.Request) {
	modes := map[string]fsm.Kind{"": fsm.KindInstall, "install": fsm.KindInstall, "upgrade": fsm.KindUpgrade, "reinstall": fsm.KindReinstall}
	mode := r.URL.Query().Get("mode")
	kind, known := modes[mode]
	if !known {
		s.end(w, "install", nil, bad("mode is %q, must be install, upgrade or reinstall", mode))
		return
	}
	s.write(w, r, kind, kind.String())
}

// stopCanister is POST /v1/canisters/{canister}/stop. It is answered when the canister has stopped.
func (s *server) stopCanister(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindStop, "stop")
}

// startCanister is POST /v1/canisters/{canister}/start.
func (s *server) startCanister(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindStart, "start")
}

// deleteCanister is DELETE /v1/canisters/{canister}.
func (s *server) deleteCanister(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindDelete, "delete")
}

// setLimits is POST /v1/limits and /v1/canisters/{canister}/limits: the body is NAME=NUMBER, separated by spaces.
func (s *server) setLimits(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindLimits, "limits")
}

// limits is GET /v1/limits: the replicated configuration, as of everything that was acknowledged before.
func (s *server) limits(w http.ResponseWriter, r *http.Request) {
	s.readLinearizable(w, r, "limits", func(m Machine) any { return m.Limits().Named() })
}

// hasModule reports whether a message of a kind brings a module.
func hasModule(kind fsm.Kind) bool {
	return kind == fsm.KindInstall || kind == fsm.KindUpgrade || kind == fsm.KindReinstall
}

// openSession is POST /v1/sessions.
func (s *server) openSession(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, fsm.KindOpenSession, "session")
}

// write takes a request that goes into a round.
func (s *server) write(w http.ResponseWriter, r *http.Request, kind fsm.Kind, name string) {
	ctx, cancel := context.WithTimeout(r.Context(), s.node.cfg.RequestTimeout)
	defer cancel()
	rep, err := s.node.serving()
	if err != nil {
		s.end(w, name, nil, refused(err))
		return
	}
	limits := rep.machine.Limits()
	limit := limits.ArgBytes
	if hasModule(kind) {
		limit = limits.ModuleBytes
	}
	body, release, err := s.body(w, r, limit)
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	defer release()
	msg, err := parseMessage(r, kind, body)
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	if rep.raft.State() != raft.Leader {
		s.pass(w, r.WithContext(ctx), name, body)
		return
	}
	if hasModule(kind) {
		msg.Module, err = parseModule(body)
	} else if kind == fsm.KindUpdate {
		err = inspect(rep.machine, &msg)
	}
	if code, needed := fsm.CodeOf(&msg, limits); err == nil && needed {
		err = s.compileEverywhere(ctx, rep, code)
	}
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	a, err := rep.batcher.submit(ctx, msg)
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	response := newResponse(s.node.cfg.ID, a)
	if kind == fsm.KindOpenSession && len(a.Reply) == 8 {
		response.Session = binary.BigEndian.Uint64(a.Reply)
	}
	s.end(w, name, response, nil)
}

// end answers a request and counts it.
func (s *server) end(w http.ResponseWriter, name string, response *Response, err error) {
	if err == nil {
		s.node.metrics.requests.WithLabelValues(name, "done").Inc()
		writeJSON(w, http.StatusOK, response)
		return
	}
	outcome := OutcomeRefused
	var body *errBody
	if !errors.As(err, &body) {
		outcome = OutcomeOf(err)
	}
	s.node.metrics.requests.WithLabelValues(name, outcome.String()).Inc()
	s.failCall(w, err)
}

func parseMessage(r *http.Request, kind fsm.Kind, body []byte) (fsm.Message, error) {
	msg := fsm.Message{Kind: kind, Canister: r.PathValue("canister"), Method: r.PathValue("method")}
	var err error
	if msg.Caller, err = headerPrincipal(r); err != nil {
		return msg, err
	}
	session, err := headerNumber(r, headerSession)
	sequence, sequenceErr := headerNumber(r, headerSequence)
	if err := errors.Join(err, sequenceErr); err != nil {
		return msg, err
	}
	msg.Session, msg.Sequence = fsm.SessionID(session), sequence
	if session == 0 && sequence != 0 {
		return msg, bad("%s is set without %s", headerSequence, headerSession)
	}
	switch {
	case hasModule(kind):
		msg.Module, msg.Arg = body, argument(r)
	case kind == fsm.KindUpdate, kind == fsm.KindLimits:
		msg.Arg = body
	}
	if kind == fsm.KindUpgrade {
		if err := parseUpgrade(r, &msg); err != nil {
			return msg, err
		}
	}
	if err := msg.Validate(); err != nil {
		return msg, bad("%w", err)
	}
	return msg, nil
}

// parseUpgrade reads ?skip_pre_upgrade=true and ?wasm_memory=keep or replace.
func parseUpgrade(r *http.Request, msg *fsm.Message) error {
	values := r.URL.Query()
	if text := values.Get("skip_pre_upgrade"); text != "" {
		var err error
		if msg.SkipPreUpgrade, err = strconv.ParseBool(text); err != nil {
			return bad("skip_pre_upgrade is %q, must be true or false", text)
		}
	}
	var err error
	if msg.Memory, err = canister.ParseMemoryPersistence(values.Get("wasm_memory")); err != nil {
		return bad("wasm_memory: %w", err)
	}
	return nil
}

// inspect asks the canister whether it wants the message at all.
func inspect(m Machine, msg *fsm.Message) error {
	refusal, err := m.Inspect(msg)
	if err != nil {
		return refused(err)
	}
	if refusal != "" {
		return &errBody{http.StatusForbidden, refused(errors.New(refusal))}
	}
	return nil
}

// headerPrincipal is the principal that the client says it is; nil where it says nothing.
func headerPrincipal(r *http.Request) ([]byte, error) {
	text := r.Header.Get(headerCaller)
	if text == "" {
		return nil, nil
	}
	caller, err := ParseCaller(text)
	if err != nil {
		return nil, bad("header %s: %w", headerCaller, err)
	}
	return caller, nil
}

// ParseCaller reads the text form of a principal that a client may call as: anybody's but the management canister's.
func ParseCaller(text string) ([]byte, error) {
	caller, err := canister.ParsePrincipal(text)
	if err == nil && len(caller) == 0 {
		err = fmt.Errorf("nobody calls as the management canister %s", fsm.ManagementCanister)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: a caller is a principal in its text form, such as 2vxsx-fae, the anonymous one", err)
	}
	return caller, nil
}

func headerNumber(r *http.Request, name string) (uint64, error) {
	text := r.Header.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, bad("header %s is %q, must be a number", name, text)
	}
	return n, nil
}

// argument is an argument that does not come as the body.
func argument(r *http.Request) []byte {
	if arg := r.URL.Query().Get("arg"); arg != "" {
		return []byte(arg)
	}
	return []byte(r.Header.Get(headerArg))
}

// parseModule takes a Wasm binary or WAT text and gives the binary.
func parseModule(body []byte) ([]byte, error) {
	if bytes.HasPrefix(body, []byte("\x00asm")) {
		return body, nil
	}
	text := bytes.TrimSpace(body)
	if !utf8.Valid(body) || !bytes.HasPrefix(text, []byte("(")) && !bytes.HasPrefix(text, []byte(";;")) {
		return nil, bad("module of %d bytes is neither a Wasm binary (begins with \\0asm) nor WAT text (begins with a parenthesis)", len(body))
	}
	binary, err := canister.ParseWAT(body)
	if err != nil {
		return nil, bad("module text: %w", err)
	}
	return binary, nil
}

// query is GET or POST /v1/canisters/{canister}/query/{method}.
func (s *server) query(w http.ResponseWriter, r *http.Request) {
	const name = "query"
	ctx, cancel := context.WithTimeout(r.Context(), s.node.cfg.RequestTimeout)
	defer cancel()
	rep, err := s.node.serving()
	if err != nil {
		s.end(w, name, nil, refused(err))
		return
	}
	body, release, err := s.body(w, r, rep.machine.Limits().ArgBytes)
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	defer release()
	caller, err := headerPrincipal(r)
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	q := fsm.Query{Canister: r.PathValue("canister"), Method: r.PathValue("method"), Arg: body, Caller: caller}
	if len(body) == 0 {
		q.Arg = argument(r)
	}
	switch consistency := r.URL.Query().Get("consistency"); consistency {
	case "", consistencyLinearizable:
		if rep.raft.State() != raft.Leader {
			s.pass(w, r.WithContext(ctx), name, body)
			return
		}
		err = rep.waitLinearizable(ctx)
	case consistencyStale:
	default:
		err = bad("consistency is %q, must be %s or %s", consistency, consistencyLinearizable, consistencyStale)
	}
	if err != nil {
		s.end(w, name, nil, err)
		return
	}
	a, err := s.read(ctx, rep, q)
	if err != nil {
		s.end(w, name, nil, refused(err))
		return
	}
	s.end(w, name, newResponse(s.node.cfg.ID, a), nil)
}

// canisterInterface is GET /v1/canisters/{canister}/interface.
func (s *server) canisterInterface(w http.ResponseWriter, r *http.Request) {
	s.readLinearizable(w, r, "interface", func(m Machine) any {
		did, _ := m.Interface(r.PathValue("canister"))
		return interfaceAnswer{Candid: did}
	})
}

// readLinearizable answers with what the leader's state machine says once it has applied everything that was acknowledged before.
func (s *server) readLinearizable(w http.ResponseWriter, r *http.Request, name string, answer func(Machine) any) {
	ctx, cancel := context.WithTimeout(r.Context(), s.node.cfg.RequestTimeout)
	defer cancel()
	rep, err := s.node.serving()
	if err != nil {
		s.failCall(w, refused(err))
		return
	}
	if rep.raft.State() != raft.Leader {
		s.pass(w, r.WithContext(ctx), name, nil)
		return
	}
	if err := rep.waitLinearizable(ctx); err != nil {
		s.failCall(w, err)
		return
	}
	writeJSON(w, http.StatusOK, answer(rep.machine))
}

// read runs one query, when fewer than the most that may run do.
func (s *server) read(ctx context.Context, rep *replica, q fsm.Query) (Answer, error) {
	select {
	case s.queries <- struct{}{}:
		defer func() { <-s.queries }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait for other queries: %w", ctx.Err())
	}
	return rep.read(q)
}

// pathOf rebuilds the path of a request with its names escaped.
func pathOf(r *http.Request) string {
	u := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	return u.String()
}
