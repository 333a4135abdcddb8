package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestStatesAreHeldWithinLimits: few states are held, each is read until it is given up, and nothing that is asked makes the node
// do more than a bounded piece of work.
func TestStatesAreHeldWithinLimits(t *testing.T) {
	c := startCluster(t, 1, nil)
	client := c.client()
	c.install(client, "counter")
	for range 30 {
		c.add(client, "counter", 1)
	}
	addr := c.nodes[0].HTTPAddr()
	newest := c.nodes[0].Status()
	h, err := client.HoldState(c.ctx, addr, NewestRound)
	if err != nil || h.Round != newest.Round || h.Root != newest.Root || len(h.Canisters) != 1 {
		t.Fatalf("%+v, %v; the node says %+v", h, err, newest)
	}
	reply, err := h.ReadState(c.ctx, ReadRequest{Canisters: []uint64{1, 9}})
	if err != nil || len(reply.Canisters) != 1 || len(reply.Canisters[0].Memories) != 3 {
		t.Fatalf("%+v, %v", reply, err)
	}
	memory := reply.Canisters[0].Memories[0]
	before, err := h.Pages(c.ctx, memory.Name, []uint64{0, 1})
	if err != nil || len(before[0]) != 4096 || before[0][0] != 30 || len(before[1]) != 0 {
		t.Fatalf("page 0 of %+v: %v, %v", memory, before, err)
	}
	c.add(client, "counter", 1)
	if after, err := h.Pages(c.ctx, memory.Name, []uint64{0}); err != nil || string(after[0]) != string(before[0]) {
		t.Errorf("a held page changed: %v", err)
	}
	for range maxHeldStates - 1 {
		if _, err := client.HoldState(c.ctx, addr, newest.Round); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal := func(err error, code int, text string) {
		t.Helper()
		var failed *CallError
		if !errors.As(err, &failed) || failed.Code != code || !strings.Contains(failed.Reason, text) {
			t.Errorf("%v, want HTTP status %d with %q", err, code, text)
		}
	}
	_, err = client.HoldState(c.ctx, addr, newest.Round)
	wantRefusal(err, http.StatusTooManyRequests, "too many states are held")
	_, err = client.HoldState(c.ctx, addr, 1)
	wantRefusal(err, http.StatusConflict, fmt.Sprintf("rounds %d to %d are", newest.Round+2-16, newest.Round+2))
	_, err = h.Pages(c.ctx, memory.Name, make([]uint64, maxPartsRead+1))
	wantRefusal(err, http.StatusBadRequest, "at most")
	_, err = h.Pages(c.ctx, "canister-2", []uint64{0})
	wantRefusal(err, http.StatusBadRequest, `no memory "canister-2"`)
	_, err = h.ReadState(c.ctx, ReadRequest{Memory: memory.Name, Nodes: []NodeRef{{Key: 1 << 60, Depth: 200}}})
	wantRefusal(err, http.StatusBadRequest, "no node at depth 200")
	if err := h.Drop(c.ctx); err != nil {
		t.Error(err)
	}
	_, err = h.Pages(c.ctx, memory.Name, []uint64{0})
	wantRefusal(err, http.StatusNotFound, "is not held")
	wantRefusal(h.Drop(c.ctx), http.StatusNotFound, "is not held")

	for path, body := range map[string]string{"/v1/states?round=x": "", "/v1/states/2/read": "{", "/v1/states/3/read": `{"nonsense":1}`,
		"/v1/states/4/read": `{"pages":[` + strings.Repeat("0,", maxReadBody/2) + `0]}`} {
		response, err := http.Post(fmt.Sprintf("http://%s%s", addr, path), "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode < 400 || response.StatusCode > 413 || !json.Valid(text) {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
