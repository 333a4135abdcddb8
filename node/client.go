package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"lockstep/canister"
	"lockstep/fsm"
)

// ClientConfig is what a client is made of.
type ClientConfig struct {
	// Addresses are the client ports of the cluster's nodes, host:port. At least one.
	Addresses []string
	// Timeout bounds one try on one node; 0 means 10 s.
	Timeout time.Duration
	// Caller is the principal that canisters see as the caller, at most fsm.MaxCallerBytes; empty is anonymous.
	Caller []byte
}

// Client calls a cluster over its client ports. It keeps its connections, and remembers who the leader is. Its methods may be
// called from several goroutines.
type Client struct {
	cfg  ClientConfig
	http *http.Client

	// mu guards preferred, the address to try first.
	mu        sync.Mutex
	preferred string
}

// CallError reports a call without a result.
type CallError struct {
	// Outcome says whether the call may have happened.
	Outcome Outcome
	// Code is the HTTP status; 0 when no node answered.
	Code int
	// Address is the node that was asked last.
	Address string
	// Reason is the node's own explanation, or the client's.
	Reason string
	// Err is the cause where there is one, such as the context's end.
	Err error

	leader string
}

func (e *CallError) Error() string {
	return fmt.Sprintf("%s (outcome %s, node at %s)", e.Reason, e.Outcome, e.Address)
}

// Unwrap gives the cause.
func (e *CallError) Unwrap() error { return e.Err }

// lasting reports whether the same call would fail again anywhere.
func (e *CallError) lasting() bool {
	return e.Outcome == OutcomeRefused && e.Code >= 400 && e.Code < 500 && e.Code != http.StatusTooManyRequests
}

// NewClient gives a client. Close frees its connections.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("client: no addresses of nodes are given")
	}
	for _, a := range cfg.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("client: address %q must be host:port", a)
		}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &Client{cfg: cfg, preferred: cfg.Addresses[0], http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 256, IdleConnTimeout: idleTimeout, DialContext: (&net.Dialer{Timeout: cfg.Timeout}).DialContext}}}, nil
}

// Close frees the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Update calls an update method outside any session. It is tried again while it was certainly refused for now; an unknown
// outcome stays unknown, as a *CallError.
func (c *Client) Update(ctx context.Context, canister, method string, arg []byte) (Response, error) {
	return c.write(ctx, call{path: canisterPath(canister, "update", method), body: arg})
}

// Query calls a query method and sees everything that was acknowledged before. It is tried again until ctx ends.
func (c *Client) Query(ctx context.Context, canister, method string, arg []byte) (Response, error) {
	return c.write(ctx, call{path: canisterPath(canister, "query", method), body: arg, repeatable: true})
}

// QueryStale calls a query method on one node, on whatever state that node has. The query's Caller is not used; the client has
// its own.
func (c *Client) QueryStale(ctx context.Context, addr string, q fsm.Query) (Response, error) {
	var out Response
	err := c.try(ctx, addr, call{path: canisterPath(q.Canister, "query", q.Method) + "?consistency=" + consistencyStale, body: q.Arg}, &out)
	return out, err
}

// Install creates a canister from a Wasm binary or WAT text. An unknown outcome stays unknown.
func (c *Client) Install(ctx context.Context, name string, module, arg []byte) (Response, error) {
	return c.Change(ctx, name, fsm.Message{Kind: fsm.KindInstall, Module: module, Arg: arg})
}

// Change changes the life of a canister, or with KindLimits limits, of the cluster if name is empty: the message's Kind says how,
// Module, Arg and the ways of an upgrade are used where the kind has them; the rest of the message is not. An unknown outcome
// stays unknown.
func (c *Client) Change(ctx context.Context, name string, m fsm.Message) (Response, error) {
	out := call{path: "/v1/canisters/" + url.PathEscape(name)}
	switch m.Kind {
	case fsm.KindInstall, fsm.KindUpgrade, fsm.KindReinstall:
		values := url.Values{"mode": {m.Kind.String()}}
		if len(m.Arg) > 0 {
			values.Set("arg", string(m.Arg))
		}
		if m.SkipPreUpgrade {
			values.Set("skip_pre_upgrade", "true")
		}
		if m.Memory != canister.MemoryByModules {
			values.Set("wasm_memory", m.Memory.String())
		}
		out.path, out.body = out.path+"?"+values.Encode(), m.Module
	case fsm.KindLimits:
		if out.path += "/limits"; name == "" {
			out.path = "/v1/limits"
		}
		out.body = m.Arg
	case fsm.KindStop, fsm.KindStart:
		out.path += "/" + m.Kind.String()
	case fsm.KindDelete:
		out.method = http.MethodDelete
	default:
		return Response{}, fmt.Errorf("%s is no change of a canister's life", m.Kind)
	}
	return c.write(ctx, out)
}

// Limits asks for the limits of the cluster, by name, as of everything that was acknowledged before.
func (c *Client) Limits(ctx context.Context) (map[string]uint64, error) {
	var out map[string]uint64
	err := c.exchange(ctx, call{method: http.MethodGet, path: "/v1/limits", repeatable: true}, &out)
	return out, err
}

// Interface asks for the description of a canister's methods in Candid, as of everything that was acknowledged before; empty if
// the canister carries none or is not there.
func (c *Client) Interface(ctx context.Context, name string) (string, error) {
	var out interfaceAnswer
	err := c.exchange(ctx, call{method: http.MethodGet, path: "/v1/canisters/" + url.PathEscape(name) + "/interface", repeatable: true}, &out)
	return out.Candid, err
}

// OpenSession opens a session. A try whose outcome is unknown may leave a session behind that nobody uses.
func (c *Client) OpenSession(ctx context.Context) (*Session, error) {
	r, err := c.write(ctx, call{path: "/v1/sessions", repeatable: true})
	if err != nil {
		return nil, err
	}
	if r.Session == 0 {
		return nil, fmt.Errorf("open session: %s: %s", r.Status, r.Text)
	}
	return &Session{client: c, id: r.Session}, nil
}

// Status asks one node what it is doing.
func (c *Client) Status(ctx context.Context, addr string) (StatusReport, error) {
	var out StatusReport
	err := c.try(ctx, addr, call{method: http.MethodGet, path: "/v1/status"}, &out)
	return out, err
}

// Roots asks one node for the roots of its rounds from a round on, at most limit of them.
func (c *Client) Roots(ctx context.Context, addr string, from uint64, limit int) (RootsReport, error) {
	var out RootsReport
	err := c.try(ctx, addr, call{method: http.MethodGet, path: fmt.Sprintf("/v1/roots?from=%d&max=%d", from, limit)}, &out)
	return out, err
}

func canisterPath(canister, kind, method string) string {
	return "/v1/canisters/" + url.PathEscape(canister) + "/" + kind + "/" + url.PathEscape(method)
}

// call is one request.
type call struct {
	method            string // empty is POST
	path              string
	body              []byte
	session, sequence uint64
	// repeatable: to run it twice is as good as once, so that an unknown outcome may be tried again.
	repeatable bool
}

// Bounds of the pause between two tries.
const (
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// write is exchange for what has a Response.
func (c *Client) write(ctx context.Context, call call) (out Response, err error) {
	err = c.exchange(ctx, call, &out)
	return out, err
}

// exchange tries a call on one node after the other until it has a result, fails for good, or ctx ends. out is untouched unless
// there is a result.
func (c *Client) exchange(ctx context.Context, call call, out any) error {
	var seen *CallError // the worst outcome of the tries so far
	addr, hinted := c.first(), false
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := c.try(ctx, addr, call, out)
		if err == nil {
			c.prefer(addr)
			return nil
		}
		var failed *CallError
		if !errors.As(err, &failed) {
			return err
		}
		if seen == nil || seen.Outcome == OutcomeRefused {
			seen = failed
		}
		if failed.lasting() || seen.Outcome == OutcomeUnknown && !call.repeatable {
			return seen
		}
		// The first hint is followed at once; nodes that name each other as leader must not keep the client spinning.
		addr = c.next(addr, failed.leader)
		follow := addr == failed.leader && !hinted
		hinted = hinted || follow
		if !follow && !sleep(ctx, pause/2+rand.N(pause)) {
			return seen
		}
	}
}

// sleep pauses; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) first() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.preferred
}

func (c *Client) prefer(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.preferred = addr
}

// next is the node to try after addr: the leader that it named, or the next in the list.
func (c *Client) next(addr, leader string) string {
	if leader != "" && leader != addr {
		return leader
	}
	for i, a := range c.cfg.Addresses {
		if a == addr {
			return c.cfg.Addresses[(i+1)%len(c.cfg.Addresses)]
		}
	}
	return c.cfg.Addresses[0]
}

// try sends a call to one node. Its errors are *CallError.
func (c *Client) try(ctx context.Context, addr string, call call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	method := call.method
	if method == "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+addr+call.path, bytes.NewReader(call.body))
	if err != nil {
		return &CallError{Outcome: OutcomeRefused, Code: http.StatusBadRequest, Address: addr, Reason: err.Error(), Err: err}
	}
	if call.session != 0 {
		request.Header.Set(headerSession, strconv.FormatUint(call.session, 10))
		request.Header.Set(headerSequence, strconv.FormatUint(call.sequence, 10))
	}
	if len(c.cfg.Caller) > 0 {
		request.Header.Set(headerCaller, canister.PrincipalText(c.cfg.Caller))
	}
	code, answer, err := exchange(c.http, request)
	if err != nil {
		return &CallError{Outcome: OutcomeOf(err), Address: addr, Reason: err.Error(), Err: err}
	}
	if code == http.StatusOK {
		if err := json.Unmarshal(answer, out); err != nil {
			return &CallError{Outcome: OutcomeUnknown, Code: code, Address: addr, Reason: "answer is not readable: " + err.Error(), Err: err}
		}
		return nil
	}
	var told failure
	if err := json.Unmarshal(answer, &told); err != nil || told.Outcome == 0 {
		return &CallError{Outcome: OutcomeUnknown, Code: code, Address: addr, Reason: fmt.Sprintf("answer with HTTP status %d is not a node's", code)}
	}
	return &CallError{Outcome: told.Outcome, Code: code, Address: addr, Reason: told.Error, leader: told.LeaderHTTP}
}

// Session is a numbered row of messages, each of which runs at most once however often it is sent. Calls wait for each other:
// the numbers that run only grow.
type Session struct {
	client *Client
	id     uint64

	// mu guards sequence, the number of the newest message.
	mu       sync.Mutex
	sequence uint64
}

// ID is the session's number in the cluster.
func (s *Session) ID() uint64 { return s.id }

// Update numbers a message and sends it, with the same number, until one node gives its result or ctx ends. On an error with
// an unknown outcome the message may still run, once; the session goes on with the next number.
func (s *Session) Update(ctx context.Context, canister, method string, arg []byte) (Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	return s.client.write(ctx, call{path: canisterPath(canister, "update", method), body: arg,
		session: s.id, sequence: s.sequence, repeatable: true})
}
