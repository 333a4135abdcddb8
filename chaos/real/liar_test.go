package real_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/real"
	"lockstep/node"
)

// asLiar is the argument by which this test program becomes a replica, the second of which tells clients another reply than its state
// machine gives. Its log, its state and its roots are right.
const (
	asLiar = "be-a-replica-that-may-lie"
	liar   = 2
)

// serveLies is real.Serve with what lies before the client port of the liar.
func serveLies(config string) int {
	var c real.ReplicaConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return liarFailed(err)
	}
	if c.Number == liar {
		behind, err := node.Reserve()
		if err != nil {
			return liarFailed(err)
		}
		front, err := net.Listen("tcp", c.Peers[liar-1].HTTP)
		if err != nil {
			return liarFailed(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind.Addr})
		proxy.ModifyResponse = falsify
		go http.Serve(front, proxy) // ends with the process
		c.Peers[liar-1].HTTP = behind.Addr
	}
	told, err := json.Marshal(c)
	if err != nil {
		return liarFailed(err)
	}
	return real.Serve(string(told), os.Stdin, os.NewFile(3, "events"), os.Stderr)
}

func liarFailed(err error) int {
	fmt.Fprintln(os.Stderr, "error:", err)
	return 3
}

// falsify makes the reply of an update a byte longer.
func falsify(r *http.Response) error {
	if !strings.Contains(r.Request.URL.Path, "/update/") || r.StatusCode != http.StatusOK {
		return nil
	}
	var answer node.Response
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	answer.Reply = append(answer.Reply, 1)
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// A client is told another reply than the replicas have, while all their roots agree: nothing but that reply gives it away.
func TestLieInAnAnswerIsFound(t *testing.T) {
	result, _ := runText(t, real.Options{Args: []string{asLiar}}, shortPlan)
	if result.Verdict.Judgement != check.Violated || result.Verdict.Leading != "exactly-once" {
		t.Fatalf("%s", result.Verdict.Sentence)
	}
	for _, f := range result.Verdict.Findings {
		switch {
		case f.Checker == "exactly-once" && (f.Violation == nil || !strings.Contains(f.Violation.Sentence, "reply")):
			t.Errorf("%s: %s", f.Checker, f.Reason)
		case f.Checker != "exactly-once" && f.State == check.Broken:
			t.Errorf("%s is broken too: %s", f.Checker, f.Reason)
		}
	}
}
