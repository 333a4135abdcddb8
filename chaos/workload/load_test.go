package workload

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"lockstep/canister/candid"
)

const loadModule = `(module (func (export "canister_update put")) (func (export "canister_update inc")) (func (export "canister_query get")))`

func loadOf(t *testing.T, calls []Call, seed uint64) (*Load, []Message) {
	t.Helper()
	m, err := ParseModule("own", []byte(loadModule))
	if err != nil {
		t.Fatal(err)
	}
	d, err := candid.Parse(`service : { put : (text, nat) -> (); inc : () -> (); get : (text) -> (nat) query }`)
	if err != nil {
		t.Fatal(err)
	}
	m.Describe(d)
	l, err := Draw("own", []Module{m}, calls, seed)
	if err != nil {
		t.Fatal(err)
	}
	w, modules, err := l.Open("demo")
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) != 1 || modules[0].Hash != m.Hash || !reflect.DeepEqual(w.Canisters(), []string{"own"}) {
		t.Fatalf("modules %v, canisters %v", modules, w.Canisters())
	}
	messages := make([]Message, w.Len())
	for i := range messages {
		messages[i] = w.Message(seed, uint64(i))
	}
	return l, messages
}

func TestLoadOfCalls(t *testing.T) {
	calls := []Call{{Message: Message{Canister: "own", Method: "put"}, Weight: 3, Draw: true},
		{Message: Message{Canister: "own", Method: "inc", Arg: []byte("raw")}, Weight: 1},
		{Message: Message{Canister: "own", Method: "get", Query: true}, Weight: 1, Draw: true}}
	l, messages := loadOf(t, calls, 7)
	count, args := map[string]int{}, map[string]bool{}
	for _, m := range messages {
		count[m.Method]++
		switch {
		case m.Query != (m.Method == "get"):
			t.Fatalf("got %+v", m)
		case m.Method == "inc" && string(m.Arg) != "raw":
			t.Fatalf("inc was given %q", m.Arg)
		case m.Method == "put":
			text, err := candid.Decode(m.Arg, nil)
			if err != nil || !strings.Contains(text, ": nat)") || !strings.HasPrefix(text, `("`) {
				t.Fatalf("put was given %s, %v", text, err)
			}
			args[text] = true
		}
	}
	if n := len(messages); count["put"] < n/2 || count["inc"] < n/10 || count["get"] < n/10 || len(args) < 20 {
		t.Errorf("of %d messages %v, %d different arguments", n, count, len(args))
	}
	if again, _ := loadOf(t, calls, 7); !bytes.Equal(l.Text, again.Text) {
		t.Error("the same seed gives other messages")
	}
	if other, _ := loadOf(t, calls, 8); bytes.Equal(l.Text, other.Text) {
		t.Error("another seed gives the same messages")
	}
}

func TestLoadOfEverything(t *testing.T) {
	_, messages := loadOf(t, nil, 1)
	count := map[string]int{}
	for _, m := range messages {
		count[m.Method]++
	}
	if count["put"] == 0 || count["inc"] == 0 || count["get"] == 0 {
		t.Errorf("called %v", count)
	}
}

// A load goes to another process, which needs all of it but the interface.
func TestLoadAsJSON(t *testing.T) {
	l, _ := loadOf(t, nil, 1)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back Load
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	l.Modules[0].Interface = nil
	if !reflect.DeepEqual(*l, back) {
		t.Errorf("got %+v, want %+v", back, *l)
	}
}

func TestLoadWithoutModule(t *testing.T) {
	l := &Load{Name: "w", Text: []byte(`{"canister":"nowhere","method":"put"}`)}
	if _, _, err := l.Open("demo"); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("got %v", err)
	}
	var none *Load
	w, modules, err := none.Open("demo")
	if err != nil || w.Name() != "demo" || len(modules) != 2 {
		t.Errorf("got %v, %v, %v", w, modules, err)
	}
}
