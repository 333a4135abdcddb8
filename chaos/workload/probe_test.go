package workload

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"lockstep/canister/candid"
)

func TestProbe(t *testing.T) {
	m := Module{Name: "m", Updates: []string{"a", "b"}, Queries: []string{"q"}}
	sequence := func(seed uint64, client int) (calls string, updates int) {
		p, err := Probe([]Module{m}, seed, client)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for range 400 {
			next := p.Next()
			fmt.Fprintf(&b, "%s %q\n", next.Method, next.Arg)
			if !next.Query {
				updates++
			}
			if next.Canister != "m" || next.Query != (next.Method == "q") || len(next.Arg) > 32 {
				t.Fatalf("got %+v", next)
			}
		}
		return b.String(), updates
	}
	first, updates := sequence(1, 0)
	if again, _ := sequence(1, 0); again != first {
		t.Error("the same seed and client give other messages")
	}
	for _, other := range [][2]uint64{{2, 0}, {1, 1}} {
		if calls, _ := sequence(other[0], int(other[1])); calls == first {
			t.Errorf("seed %d, client %d give the messages of seed 1, client 0", other[0], other[1])
		}
	}
	if updates < 250 || updates > 350 {
		t.Errorf("%d of 400 messages are updates, want about three in four", updates)
	}
	if _, err := Probe([]Module{{Name: "m"}}, 1, 0); !errors.Is(err, ErrNothingToCall) {
		t.Errorf("a module without methods gives %v", err)
	}
}

// TestProbeCandid: the methods of an interface are called with values of their types, others not at all.
func TestProbeCandid(t *testing.T) {
	m, err := ParseModule("m", []byte(`(module
		(@custom "icp:public candid:service" "service : (record { owner : text }) -> { set : (text, nat) -> (); get : (text) -> () query }")
		(func (export "canister_update set")) (func (export "canister_update __internal")) (func (export "canister_query get")))`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := candid.Decode(m.Arg, nil); err != nil || len(m.Arg) < 10 {
		t.Errorf("it is installed with % x (%v), want a record", m.Arg, err)
	}
	p, err := Probe([]Module{m}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	valid := 0
	for range 400 {
		next := p.Next()
		if next.Method == "__internal" {
			t.Fatal("a method that the interface does not name was called")
		}
		if _, err := candid.Decode(next.Arg, nil); err == nil {
			valid++
		}
	}
	if valid < 300 || valid == 400 {
		t.Errorf("%d of 400 arguments are Candid, want about seven in eight", valid)
	}
}
