package node

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"lockstep/fsm"
)

// lossyProxy passes requests on to a node and loses every second answer of those that match.
func lossyProxy(t *testing.T, to string, lose func(*http.Request) bool) string {
	t.Helper()
	var seen atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header = r.Header.Clone()
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		if lose(r) && seen.Add(1)%2 == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(response.StatusCode)
		_, _ = w.Write(body)
	}))
	t.Cleanup(func() {
		proxy.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return proxy.Listener.Addr().String()
}

// Every second answer is lost, so that every second update is sent at least twice: in a session each runs once.
func TestSessionRunsOnce(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.install(c.client(), "counter")
	proxy := lossyProxy(t, c.cfgs[0].Peers[0].HTTP, func(r *http.Request) bool { return r.URL.Path != "/v1/sessions" })
	client, err := NewClient(ClientConfig{Addresses: []string{proxy}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.OpenSession(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		r, err := session.Update(c.ctx, "counter", "add", []byte{1})
		if err != nil || count(r) != uint64(i+1) {
			t.Fatalf("update %d: count %d, %v", i, count(r), err)
		}
	}
	c.agree()
}

// Outside a session an answer that was lost leaves the outcome unknown, and the client must not send again.
func TestUpdateWithoutSessionStaysUnknown(t *testing.T) {
	c := startCluster(t, 1, nil)
	c.install(c.client(), "counter")
	proxy := lossyProxy(t, c.cfgs[0].Peers[0].HTTP, func(*http.Request) bool { return true })
	client, err := NewClient(ClientConfig{Addresses: []string{proxy}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var failed *CallError
	if _, err := client.Update(c.ctx, "counter", "add", []byte{1}); !errors.As(err, &failed) || failed.Outcome != OutcomeUnknown {
		t.Errorf("lost answer: %v", err)
	}
	if r, err := c.client().Query(c.ctx, "counter", "get", nil); err != nil || count(r) != 1 {
		t.Errorf("count %d, want 1; %v", count(r), err)
	}
}

func TestClientOutcomes(t *testing.T) {
	refusing := reserve(t)
	client, err := NewClient(ClientConfig{Addresses: []string{refusing}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var failed *CallError
	if _, err := client.Status(context.Background(), refusing); !errors.As(err, &failed) || failed.Outcome != OutcomeRefused {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Update(ctx, "c", "m", nil); !errors.As(err, &failed) || failed.Outcome != OutcomeRefused {
		t.Errorf("nobody listens until the context ends: %v", err)
	}
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	if _, err := client.Status(context.Background(), stranger.Listener.Addr().String()); !errors.As(err, &failed) || failed.Outcome != OutcomeUnknown {
		t.Errorf("a server that is no node: %v", err)
	}
	if _, err := NewClient(ClientConfig{}); err == nil {
		t.Error("no addresses")
	}
	if _, err := NewClient(ClientConfig{Addresses: []string{"nowhere"}}); err == nil {
		t.Error("bad address")
	}
}

// A message that the leader took while it could not reach anybody has an unknown outcome; in a session it runs once.
func TestUpdateAcrossLeaderChange(t *testing.T) {
	c, client := startCounting(t, 3, 0, nil)
	session, err := client.OpenSession(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		done := make(chan error, 1)
		go func() {
			_, err := session.Update(c.ctx, "counter", "add", []byte{1})
			done <- err
		}()
		leader := c.leader()
		c.stop(leader)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		c.start(leader)
		r, err := client.Query(c.ctx, "counter", "get", nil)
		if err != nil || r.Status != fsm.StatusReplied || count(r) != uint64(i+1) {
			t.Fatalf("after leader change %d: count %d, %v", i, count(r), err)
		}
	}
	c.agree()
}
