package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
)

// caller sends single messages over client ports: never twice by itself, so that each try is a call of its own in the history.
type caller struct {
	http      *http.Client
	addresses []string
}

// callTimeout bounds one try; peerTimeout one exchange between replicas.
const (
	callTimeout = 1500 * time.Millisecond
	peerTimeout = 2 * time.Second
)

func newCaller(addresses []string) *caller {
	return &caller{addresses: addresses, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// request is one message for one replica.
type request struct {
	class             history.Class
	node              int
	canister, method  string
	arg               []byte // or the module of a change that brings one
	session, sequence uint64
	change            fsm.Kind // 0: a method is called
	// reply is what the canister has answered, if it has.
	reply []byte
}

// title is the request in a word.
func (q *request) title() string {
	m := workload.Message{Canister: q.canister, Method: q.method, Change: q.change}
	return m.Title()
}

func (q *request) url(address string) string {
	base := "http://" + address + "/v1/canisters/" + url.PathEscape(q.canister)
	switch q.change {
	case fsm.KindOpenSession:
		return "http://" + address + "/v1/sessions"
	case fsm.KindInstall, fsm.KindUpgrade, fsm.KindReinstall:
		return base + "?mode=" + q.change.String()
	case fsm.KindStop, fsm.KindStart:
		return base + "/" + q.change.String()
	case fsm.KindDelete:
		return base
	}
	kind, more := "update", ""
	switch q.class {
	case history.Query:
		kind = "query"
	case history.StaleQuery:
		kind, more = "query", "?consistency=stale"
	}
	return base + "/" + kind + "/" + url.PathEscape(q.method) + more
}

// send sends it and gives the event of its return, without its number, and the status; 0 without a result.
func (c *caller) send(ctx context.Context, q *request) (history.Event, fsm.Status) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	method := http.MethodPost
	if q.change == fsm.KindDelete {
		method = http.MethodDelete
	}
	r, err := http.NewRequestWithContext(ctx, method, q.url(c.addresses[q.node-1]), bytes.NewReader(q.arg))
	if err != nil {
		return history.Event{Kind: history.Returned, Outcome: history.Refused, Text: err.Error()}, 0
	}
	if q.session != 0 {
		r.Header.Set("Lockstep-Session", strconv.FormatUint(q.session, 10))
		r.Header.Set("Lockstep-Sequence", strconv.FormatUint(q.sequence, 10))
	}
	return c.answer(q, r)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

func (c *caller) answer(q *request, r *http.Request) (history.Event, fsm.Status) {
	e := history.Event{Kind: history.Returned, Outcome: history.Unknown}
	response, err := c.http.Do(r)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			e.Outcome = history.Refused
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		e.Text = err.Error()
		return e, 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		e.Text = err.Error()
		return e, 0
	}
	if response.StatusCode != http.StatusOK {
		var told struct {
			Error   string       `json:"error"`
			Outcome node.Outcome `json:"outcome"`
		}
		if json.Unmarshal(body, &told) == nil && told.Outcome == node.OutcomeRefused {
			e.Outcome = history.Refused
		}
		e.Text = told.Error
		return e, 0
	}
	var result node.Response
	if err := json.Unmarshal(body, &result); err != nil {
		e.Text = "the answer is not readable: " + err.Error()
		return e, 0
	}
	q.reply = result.Reply
	return result2event(q, &result), result.Status
}

// result2event tells a result as a history does.
func result2event(q *request, r *node.Response) history.Event {
	e := history.Event{Kind: history.Returned, Outcome: history.OK, Text: r.Status.String(), Round: r.Round, Index: r.Index}
	if root, err := pagetrie.ParseHash(r.Root); err == nil {
		e.Root = root
	}
	e.Digest = history.DigestOfParts(byte(r.Status), r.Reply, []byte(r.Text))
	if q.class == history.Update && ran(r.Status) {
		e.Ran = r.Round
	}
	return e
}

// ran reports whether a message that was answered so has run.
func ran(s fsm.Status) bool {
	switch s {
	case fsm.StatusReplied, fsm.StatusRejected, fsm.StatusNoReply, fsm.StatusTrapped, fsm.StatusOutOfFuel:
		return true
	}
	return false
}

// openSession opens a session at one replica, and gives the round that it was opened in; zeros if that did not work.
func (c *caller) openSession(ctx context.Context, at int) (session, round uint64) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addresses[at-1]+"/v1/sessions", nil)
	if err != nil {
		return 0, 0
	}
	response, err := c.http.Do(r)
	if err != nil {
		return 0, 0
	}
	defer response.Body.Close()
	var result node.Response
	if response.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&result) != nil {
		return 0, 0
	}
	return result.Session, result.Round
}
