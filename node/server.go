package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lockstep/fsm"
)

// Limits of the client port that no configuration changes.
const (
	maxHeaderBytes    = 64 << 10
	headerTimeout     = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	drainTimeout      = 5 * time.Second
	defaultRootsLimit = 1000
	maxRootsLimit     = 10_000
)

// server is the client port.
type server struct {
	node     *Node
	listener net.Listener
	http     *http.Server
	forward  *http.Client
	serving  sync.WaitGroup
	// stop ends the context of every request.
	stop context.CancelFunc
	// queries holds a token for each query that may run at a time.
	queries chan struct{}
	// held are the bytes of request bodies in memory.
	held atomic.Int64
	// holds are the states that clients read.
	holds holds
}

func newServer(n *Node) (*server, error) {
	host, port, err := net.SplitHostPort(n.cfg.HTTPAddr)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &server{node: n, listener: listener, stop: stop, queries: make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		forward: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: idleTimeout,
			DialContext: (&net.Dialer{Timeout: n.cfg.PeerTimeout}).DialContext}}}
	s.http = &http.Server{BaseContext: func(net.Listener) context.Context { return ctx }, Handler: s.routes(), MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: headerTimeout,
		IdleTimeout: idleTimeout, ReadTimeout: n.cfg.RequestTimeout + headerTimeout, WriteTimeout: 2*n.cfg.RequestTimeout + headerTimeout,
		ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelDebug)}
	return s, nil
}

func (s *server) start() {
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.node.logger.Error("client port stopped", "err", err)
		}
	})
}

func (s *server) addr() string { return s.listener.Addr().String() }

// close ends the requests under way, whose messages have all been answered, and waits until they have told their clients.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	s.stop()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // a client that neither sends nor reads is cut off
		s.http.Close()
	}
	s.serving.Wait()
	s.holds.close()
	s.forward.CloseIdleConnections()
	return err
}

// routes is the client protocol. A path that is asked with a wrong method, and a path that is not there, get an answer that
// says what is.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(path string, methods map[string]http.HandlerFunc) {
		var allowed string
		for method, handler := range methods {
			mux.HandleFunc(method+" "+path, handler)
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			if methods[method] != nil {
				allowed += ", " + method
			}
		}
		mux.HandleFunc(path, s.wrongMethod(allowed[2:]))
	}
	add("/v1/canisters/{canister}", map[string]http.HandlerFunc{"POST": s.install, "DELETE": s.deleteCanister})
	add("/v1/canisters/{canister}/stop", map[string]http.HandlerFunc{"POST": s.stopCanister})
	add("/v1/canisters/{canister}/start", map[string]http.HandlerFunc{"POST": s.startCanister})
	add("/v1/canisters/{canister}/update/{method}", map[string]http.HandlerFunc{"POST": s.update})
	add("/v1/canisters/{canister}/query/{method}", map[string]http.HandlerFunc{"POST": s.query, "GET": s.query})
	add("/v1/canisters/{canister}/interface", map[string]http.HandlerFunc{"GET": s.canisterInterface})
	add("/v1/canisters/{canister}/limits", map[string]http.HandlerFunc{"POST": s.setLimits})
	add("/v1/limits", map[string]http.HandlerFunc{"GET": s.limits, "POST": s.setLimits})
	add("/v1/modules", map[string]http.HandlerFunc{"POST": s.compile})
	add("/v1/sessions", map[string]http.HandlerFunc{"POST": s.openSession})
	add("/v1/status", map[string]http.HandlerFunc{"GET": s.status})
	add("/v1/roots", map[string]http.HandlerFunc{"GET": s.roots})
	add("/v1/states", map[string]http.HandlerFunc{"POST": s.holdState})
	add("/v1/states/{state}", map[string]http.HandlerFunc{"DELETE": s.dropState})
	add("/v1/states/{state}/read", map[string]http.HandlerFunc{"POST": s.readState})
	add("/metrics", map[string]http.HandlerFunc{"GET": promhttp.HandlerFor(s.node.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP})
	add("/{$}", map[string]http.HandlerFunc{"GET": s.help})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, refused(fmt.Errorf("there is nothing at %s: GET / lists what there is", r.URL.Path)))
	})
	return mux
}

func (s *server) wrongMethod(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		s.fail(w, http.StatusMethodNotAllowed, refused(fmt.Errorf("%s does not take %s: use %s; GET / lists what there is", r.URL.Path, r.Method, allowed)))
	}
}

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.node.Status())
}

func (s *server) roots(w http.ResponseWriter, r *http.Request) {
	from, err := queryNumber(r, "from", numbers{absent: 1, low: 1, high: 1 << 63})
	limit, limitErr := queryNumber(r, "max", numbers{absent: defaultRootsLimit, low: 1, high: maxRootsLimit})
	if err := errors.Join(err, limitErr); err != nil {
		s.fail(w, http.StatusBadRequest, refused(err))
		return
	}
	m := s.node.machine()
	if m == nil {
		_, err := s.node.serving()
		s.fail(w, http.StatusServiceUnavailable, refused(fmt.Errorf("no roots are at hand: %w", err)))
		return
	}
	s.node.mu.Lock()
	state := s.node.state
	s.node.mu.Unlock()
	writeJSON(w, http.StatusOK, RootsReport{Node: s.node.cfg.ID, State: state, Roots: rootReports(m.Roots(fsm.RoundNumber(from), int(limit)))})
}

// numbers are what a parameter may be, and what it is when it is absent.
type numbers struct{ absent, low, high uint64 }

func queryNumber(r *http.Request, name string, may numbers) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return may.absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < may.low || n > may.high {
		return 0, fmt.Errorf("%s is %q, must be a number from %d to %d", name, text, may.low, may.high)
	}
	return n, nil
}

// errBody marks a request body that could not be taken; code is the HTTP status.
type errBody struct {
	code int
	err  error
}

func (e *errBody) Error() string { return e.err.Error() }
func (e *errBody) Unwrap() error { return e.err }

// body reads a request's body of at most limit bytes. release gives its memory back to the budget of the server.
func (s *server) body(w http.ResponseWriter, r *http.Request, limit uint64) (data []byte, release func(), err error) {
	size := r.ContentLength
	if size > int64(limit) {
		return nil, nil, &errBody{http.StatusRequestEntityTooLarge, fmt.Errorf("body has %d bytes, at most %d are allowed", size, limit)}
	}
	if size < 0 {
		size = int64(limit)
	}
	release = func() { s.held.Add(-size) }
	if held := s.held.Add(size); held > int64(s.node.cfg.QueueBytes) {
		release()
		return nil, nil, &errBody{http.StatusTooManyRequests, fmt.Errorf("%w: requests of %d bytes are being read", errBusy, held-size)}
	}
	data, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err != nil {
		release()
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return nil, nil, &errBody{http.StatusRequestEntityTooLarge, fmt.Errorf("body has more than %d bytes, which is what is allowed", limit)}
		}
		return nil, nil, &errBody{http.StatusBadRequest, fmt.Errorf("read body: %w", err)}
	}
	return data, release, nil
}

// fail answers a call that has no result. Where a leader is known it is named.
func (s *server) fail(w http.ResponseWriter, code int, err error) {
	answer := failure{Error: err.Error(), Outcome: OutcomeOf(err)}
	if code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
		if r := s.node.current(); r != nil {
			_, leader := r.raft.LeaderWithID()
			peer, _ := s.node.cfg.peer(string(leader))
			answer.Leader, answer.LeaderHTTP = string(leader), peer.HTTP
		}
	}
	writeJSON(w, code, answer)
}

// failCall answers a failed call with the HTTP status that its reason asks for.
func (s *server) failCall(w http.ResponseWriter, err error) {
	var body *errBody
	switch {
	case errors.As(err, &body):
		s.fail(w, body.code, refused(err))
	case OutcomeOf(err) == OutcomeUnknown:
		s.fail(w, http.StatusGatewayTimeout, fmt.Errorf("%w; the message may have run or may still run: send it again in a session with the same sequence number to find out", err))
	case errors.Is(err, errBusy):
		s.fail(w, http.StatusTooManyRequests, err)
	default:
		s.fail(w, http.StatusServiceUnavailable, err)
	}
}
