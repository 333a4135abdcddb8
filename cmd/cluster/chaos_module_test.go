package main

import (
	"strings"
	"testing"

	"lockstep/canister/candid"
	"lockstep/chaos/workload"
)

func TestParseCall(t *testing.T) {
	d, err := candid.Parse(`service : { put : (text, nat8) -> (); get : (text) -> (nat8) query }`)
	if err != nil {
		t.Fatal(err)
	}
	modules := []workload.Module{{Name: "a", Updates: []string{"put"}, Queries: []string{"get"}, Interface: d},
		{Name: "b", Updates: []string{"put", "x.y"}, Queries: []string{"get"}}}
	encoded, err := candid.Encode(`("k", 5)`, d.Methods["put"].Args)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		text, canister, method, arg string
		query, draw                 bool
		weight                      int
		fault                       string
	}{
		{text: `put ("k", 5)`, canister: "a", method: "put", arg: string(encoded), weight: 1},
		{text: ` 30  put  ("k", 5) `, canister: "a", method: "put", arg: string(encoded), weight: 30},
		{text: "put", canister: "a", method: "put", draw: true, weight: 1},
		{text: "2 get", canister: "a", method: "get", query: true, draw: true, weight: 2},
		{text: "get", canister: "a", method: "get", draw: true, weight: 1}, // a query as an update
		{text: "b.put k=1 and more", canister: "b", method: "put", arg: "k=1 and more", weight: 1},
		{text: "b.x.y", canister: "b", method: "x.y", weight: 1},
		{text: "b.get", canister: "b", method: "get", query: true, weight: 1},
		{text: `put ("k", 256)`, fault: "nat8"},
		{text: "put k=1", fault: "("},
		{text: "put", query: true, fault: `does not export the method "put"; it exports get`},
		{text: "set", fault: `module a does not export the method "set"; it exports put`},
		{text: "0 put", fault: "weight"},
		{text: "", fault: `method ""`},
	}
	for _, c := range cases {
		call, err := parseCall(c.text, modules, c.query)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: got %+v, %v; want a fault with %q", c.text, call, err, c.fault)
			}
			continue
		}
		want := workload.Call{Message: workload.Message{Canister: c.canister, Method: c.method, Arg: call.Arg, Query: c.query}, Weight: c.weight, Draw: c.draw}
		if err != nil || string(call.Arg) != c.arg || call.Canister != want.Canister || call.Method != want.Method ||
			call.Query != want.Query || call.Weight != want.Weight || call.Draw != want.Draw {
			t.Errorf("%q: got %+v, %v; want %+v with %q", c.text, call, err, want, c.arg)
		}
	}
}

func TestQuoteArg(t *testing.T) {
	for word, want := range map[string]string{"my.wasm": "my.wasm", "inc ()": "'inc ()'", "it's": `'it'\''s'`} {
		if got := quoteArg(word); got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}
