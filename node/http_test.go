package node

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestClientPortAnswers(t *testing.T) {
	c, client := startCounting(t, 1, 1, nil)
	base := "http://" + c.nodes[0].HTTPAddr()
	type want struct {
		code int
		text string
	}
	for _, tc := range []struct {
		method, path, body string
		headers            string // "name: value" lines
		want               want
	}{
		{"GET", "/", "", "", want{200, "curl --data-binary"}},
		{"GET", "/v1/status", "", "", want{200, `"role":"leader"`}},
		{"GET", "/v1/roots?from=1&max=1", "", "", want{200, `"round":1`}},
		{"GET", "/v1/roots?from=x", "", "", want{400, `from is \"x\", must be a number`}},
		{"GET", "/v1/roots?max=999999", "", "", want{400, "must be a number from 1 to 10000"}},
		{"GET", "/metrics", "", "", want{200, "lockstep_rounds_applied_total"}},
		{"GET", "/nowhere", "", "", want{404, "GET / lists what there is"}},
		{"GET", "/v1/canisters/counter/update/add", "", "", want{405, "use POST"}},
		{"PUT", "/v1/canisters/counter", "", "", want{405, "does not take PUT"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "", want{200, `"status":"replied"`}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Session: many", want{400, "must be a number"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Session: 3", want{400, "numbered from 1"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Sequence: 3", want{400, "without Lockstep-Session"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Caller: " + strings.Repeat("x", 65), want{400, "is not a principal: a caller is a principal in its text form"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Caller: aaaaa-aa", want{400, "nobody calls as the management canister"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Caller: 2vxsx-fae", want{200, `"status":"replied"`}},
		{"GET", "/v1/canisters/counter/query/get", "", "Lockstep-Caller: 2vxsx-faf", want{400, "checksum does not fit"}},
		{"POST", "/v1/canisters/counter/update/add", "abc", "Lockstep-Session: 99\nLockstep-Sequence: 1", want{200, `"status":"session-expired"`}},
		{"POST", "/v1/canisters/counter/update/add", strings.Repeat("x", 2<<20+1), "", want{413, "at most 2097152 are allowed"}},
		{"POST", "/v1/canisters/counter/update/" + strings.Repeat("m", 257), "", "", want{400, "method name is 257 bytes long"}},
		{"POST", "/v1/canisters/nobody/update/add", "abc", "", want{200, `"status":"refused"`}},
		{"POST", "/v1/canisters/counter/update/echo", "printable", "", want{200, `"reply_text":"printable"`}},
		{"GET", "/v1/canisters/counter/query/get", "", "", want{200, `"status":"replied"`}},
		{"GET", "/v1/canisters/counter/query/get?consistency=stale&arg=1", "", "", want{200, `"node":"n1"`}},
		{"GET", "/v1/canisters/counter/query/get?consistency=eventual", "", "", want{400, "must be linearizable or stale"}},
		{"POST", "/v1/canisters/Bad%20Name", counterWAT, "", want{400, "is not allowed"}},
		{"POST", "/v1/canisters/other", "", "", want{400, "module is empty"}},
		{"POST", "/v1/canisters/other", "hello", "", want{400, "neither a Wasm binary"}},
		{"POST", "/v1/canisters/other", "(module (nonsense))", "", want{400, "module text"}},
		{"POST", "/v1/canisters/other", "\x00asm\x01\x00\x00\x00\x01", "", want{400, "module: "}},
		{"POST", "/v1/canisters/other", `(module (import "moon" "beam" (func)))`, "", want{400, "moon"}},
		{"POST", "/v1/sessions", "", "", want{200, `"session":`}},
	} {
		request, err := http.NewRequestWithContext(c.ctx, tc.method, base+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(tc.headers) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			request.Header.Set(name, value)
		}
		response, err := client.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != tc.want.code || !strings.Contains(string(text), tc.want.text) {
			t.Errorf("%s %.60s %q: %d %.300s, %v\nwant %d with %s", tc.method, tc.path, tc.headers, response.StatusCode, text, err, tc.want.code, tc.want.text)
		}
		var told failure
		if tc.want.code >= 400 && (json.Unmarshal(text, &told) != nil || told.Outcome != OutcomeRefused || told.Error == "") {
			t.Errorf("%s %s: the refusal is not precise: %s", tc.method, tc.path, text)
		}
	}
}

// A body without a length is cut off at the limit, and bodies that together are more than the node holds are refused.
func TestBodyLimits(t *testing.T) {
	c := startCluster(t, 1, nil)
	client := c.client()
	c.leader()
	url := "http://" + c.nodes[0].HTTPAddr() + "/v1/canisters/counter/update/add"
	post := func(body io.Reader) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(c.ctx, "POST", url, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	if code, text := post(io.LimitReader(zeros{}, 3<<20)); code != 413 || !strings.Contains(text, "more than 2097152 bytes") {
		t.Errorf("endless body: %d %s", code, text)
	}
	held := &c.nodes[0].server.held
	held.Add(int64(c.nodes[0].cfg.QueueBytes))
	if code, text := post(strings.NewReader("a")); code != 429 || !strings.Contains(text, "being read") {
		t.Errorf("over the budget: %d %s", code, text)
	}
	held.Add(-int64(c.nodes[0].cfg.QueueBytes))
	c.eventually("the budget given back", func() bool { return held.Load() == 0 })
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
