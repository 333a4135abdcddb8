package systemapi

import (
	"errors"
	"strings"
	"testing"

	"lockstep/canister/program"
)

// allowed repeats the specification's table of the System API: from where each
// function may be called. Letters as at the occasions; * is all but s.
var allowed = map[string]string{
	"msg_arg_data_size msg_arg_data_copy":                                   "I U RQ NRQ CQ Ry CRy F",
	"msg_caller_size msg_caller_copy canister_self_size canister_self_copy": "*",
	"msg_caller_info_data_size msg_caller_info_signer_copy":                 "U RQ NRQ CQ Ry Rt C CRy CRt F",
	"msg_reject_code":                                                                        "Ry Rt CRy CRt C",
	"msg_reject_msg_size msg_reject_msg_copy":                                                "Rt CRt",
	"msg_reply_data_append msg_reply msg_reject msg_deadline":                                "U RQ NRQ CQ Ry Rt CRy CRt",
	"msg_cycles_available msg_cycles_available128 msg_cycles_accept msg_cycles_accept128":    "U RQ Ry Rt",
	"msg_cycles_refunded msg_cycles_refunded128":                                             "Ry Rt",
	"msg_method_name_size msg_method_name_copy accept_message":                               "F",
	"canister_status canister_version canister_cycle_balance canister_cycle_balance128 time": "*",
	"call_new call_on_cleanup call_data_append call_with_best_effort_response call_perform":  "U CQ Ry Rt CRy CRt T",
	"call_cycles_add call_cycles_add128":                                                     "U CQ Ry Rt CRy CRt T",
	"stable_size stable_grow stable_read stable_write":                                       "* s",
	"stable64_size stable64_grow stable64_read stable64_write":                               "* s",
	"certified_data_set": "I U Ry Rt T",
	"data_certificate_present env_var_count env_var_name_size env_var_name_exists subnet_self_size": "*",
	"data_certificate_size data_certificate_copy":                                                   "NRQ CQ",
	"root_key_size root_key_copy":                                                                   "I G U RQ Ry Rt C T",
	"global_timer_set":                                                                              "I G U Ry Rt C T",
	"cycles_burn128":                                                                                "I G U RQ Ry Rt C T",
	"performance_counter is_controller in_replicated_execution cost_call debug_print trap": "* s",
	"mint_cycles128": "U Ry Rt T",
}

var letters = map[string]Occasion{"s": InStart, "I": InInit, "G": InPreUpgrade, "U": InUpdate, "RQ": InReplicatedQuery,
	"NRQ": InQuery, "CQ": InCompositeQuery, "Ry": InReply, "Rt": InReject, "C": InCleanup, "CRy": InCompositeReply,
	"CRt": InCompositeReject, "F": InInspect, "T": InTask, "*": always &^ InStart}

// machine is a page of memory with fuel.
type machine struct {
	mem  []byte
	fuel uint64
}

func (m *machine) Memory() []byte             { return m.mem }
func (m *machine) Fuel() (uint64, error)      { return m.fuel, nil }
func (m *machine) SetFuel(f uint64) error     { m.fuel = f; return nil }
func (m *machine) Clock() int64               { return 0 }
func (m *machine) SetClock(int64) error       { return nil }
func (m *machine) Stable() StableMemory       { return m }
func (m *machine) Pages() uint64              { return 0 }
func (m *machine) Grow(uint64) bool           { return false }
func (m *machine) Read([]byte, uint64)        {}
func (m *machine) Write(uint64, []byte) error { return nil }

func TestOccasions(t *testing.T) {
	for names, from := range allowed {
		want := Occasion(0)
		for _, letter := range strings.Fields(from) {
			want |= letters[letter]
		}
		for _, name := range strings.Fields(names) {
			f := narrow.index[importName{"ic0", name}]
			if f == nil {
				t.Fatalf("no %s", name)
			}
			for letter, o := range letters {
				if letter == "*" {
					continue
				}
				h := NewHost(&machine{mem: make([]byte, 65536), fuel: 1e9}, Limits{ReplyBytes: 100})
				h.Start(Execution{Occasion: o, Fuel: 1e9}, nil)
				_, err := h.Dispatch(f, make([]uint64, len(f.Type.Params)))
				text := "ic0." + name + " may not be called from " + o.String()
				if refused := err != nil && err.Error() == text; refused == (want&o != 0) {
					t.Errorf("%s in %s: %v", name, letter, err)
				}
				if err != nil && !errors.As(err, new(Trap)) {
					t.Errorf("%s in %s: %v is no trap", name, letter, err)
				}
			}
		}
	}
}

// TestHostility calls every function with addresses and sizes that lead
// nowhere: none panics, and what goes wrong is a trap.
func TestHostility(t *testing.T) {
	words := []uint64{0, 1, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, ^uint64(0)}
	for _, isWide := range []bool{false, true} {
		for _, f := range Funcs(isWide) {
			for _, o := range letters {
				for shift := range words {
					args := make([]uint64, len(f.Type.Params))
					for i := range args {
						args[i] = words[(i*shift+shift)%len(words)]
						if f.Type.Params[i] == program.I32 {
							args[i] &= 1<<32 - 1
						}
					}
					h := NewHost(&machine{mem: make([]byte, 65536), fuel: 1e6}, Limits{ReplyBytes: 100})
					h.Start(Execution{Occasion: o, Fuel: 1e6}, nil)
					h.call = &Call{}
					if _, err := h.Dispatch(f, args); err != nil && !errors.As(err, new(Trap)) {
						t.Errorf("%s%v: %v", f.Name, args, err)
					}
				}
			}
		}
	}
}

// dispatch runs a function of the System API by name.
func dispatch(t *testing.T, h *Host, name string, args ...uint64) uint64 {
	t.Helper()
	result, err := h.Dispatch(narrow.index[importName{"ic0", name}], args)
	if err != nil {
		t.Fatalf("%s%v: %v", name, args, err)
	}
	return result
}

// TestCallsAreBounded: the calls of one execution by number and by bytes, what may still be called, and a deadline.
func TestCallsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name      string
		argument  uint64 // bytes of each
		callsLeft uint64
		accepted  int
	}{
		{"number", 0, 10_000, maxCalls},
		{"bytes", 1 << 20, 10_000, maxCallsBytes>>20 - 1}, // the names have no place beside all 16
		{"left", 8, 3, 3},
	} {
		h := NewHost(&machine{mem: make([]byte, 2<<20), fuel: 1e12}, Limits{ReplyBytes: 2 << 20})
		h.Start(Execution{Occasion: InUpdate, Fuel: 1e12, Env: Env{CallsLeft: c.callsLeft}}, nil)
		for range c.accepted + 2 {
			dispatch(t, h, "call_new", 0, 0, 0, 3, 1, 2, 3, 4)
			dispatch(t, h, "call_data_append", 0, c.argument)
			want := uint64(0)
			if len(h.Effects().Calls) == c.accepted {
				want = cannotQueue
			}
			if got := dispatch(t, h, "call_perform"); got != want {
				t.Fatalf("%s: call_perform gives %d after %d calls, want %d", c.name, got, len(h.Effects().Calls), want)
			}
		}
		if got := len(h.Effects().Calls); got != c.accepted {
			t.Errorf("%s: %d calls, want %d", c.name, got, c.accepted)
		}
	}
	for asked, want := range map[uint64]uint32{0: 1, 1: 1, 299: 299, 300: 300, 301: 300, 1<<32 - 1: 300} {
		h := NewHost(&machine{mem: make([]byte, 65536), fuel: 1e9}, Limits{ReplyBytes: 100})
		h.Start(Execution{Occasion: InUpdate, Fuel: 1e9, Env: Env{CallsLeft: 1}}, nil)
		dispatch(t, h, "call_new", 0, 0, 0, 0, 1, 2, 3, 4)
		dispatch(t, h, "call_with_best_effort_response", asked)
		dispatch(t, h, "call_perform")
		if got := h.Effects().Calls[0].TimeoutSeconds; got != want {
			t.Errorf("a timeout of %d s becomes %d s, want %d", asked, got, want)
		}
	}
}

// TestControllersAreWholePrincipals: one that begins as another is another.
func TestControllersAreWholePrincipals(t *testing.T) {
	h := NewHost(&machine{mem: []byte("alicebob"), fuel: 1e9}, Limits{})
	h.Start(Execution{Occasion: InUpdate, Fuel: 1e9, Env: Env{Controllers: [][]byte{[]byte("alice"), []byte("bob")}}}, nil)
	for _, c := range []struct{ at, size, want uint64 }{{0, 5, 1}, {5, 3, 1}, {0, 4, 0}, {0, 6, 0}, {5, 2, 0}, {0, 0, 0}} {
		if got := dispatch(t, h, "is_controller", c.at, c.size); got != c.want {
			t.Errorf("is_controller of %d bytes at %d is %d", c.size, c.at, got)
		}
	}
}

// TestTasksHaveNoCaller: whoever is in the environment, a heartbeat or timer is the management canister's.
func TestTasksHaveNoCaller(t *testing.T) {
	for occasion, want := range map[Occasion]uint64{InTask: 0, InUpdate: 5} {
		h := NewHost(&machine{mem: make([]byte, 65536), fuel: 1e9}, Limits{})
		h.Start(Execution{Occasion: occasion, Fuel: 1e9, Env: Env{Caller: []byte("alice")}}, nil)
		if got := dispatch(t, h, "msg_caller_size"); got != want {
			t.Errorf("in %s the caller has %d bytes, want %d", occasion, got, want)
		}
	}
}

func TestSignature(t *testing.T) {
	if got := signature("ipIfF:p", false).String(); got != "(i32 i32 i64 f32 f64) -> (i32)" {
		t.Error(got)
	}
	if got := signature("ipIfF:p", true).String(); got != "(i32 i64 i64 f32 f64) -> (i64)" {
		t.Error(got)
	}
}

// TestPrincipals has text forms that the Internet Computer publishes.
func TestPrincipals(t *testing.T) {
	for text, raw := range map[string]string{
		"aaaaa-aa":                    "",
		"2vxsx-fae":                   "\x04",
		"ryjl3-tyaaa-aaaaa-aaaba-cai": string(Principal(2)),
		"rrkah-fqaaa-aaaaa-aaaaq-cai": string(Principal(1)),
	} {
		if got := PrincipalText([]byte(raw)); got != text {
			t.Errorf("%q is written %s, want %s", raw, got, text)
		}
		if got, err := ParsePrincipal(text); err != nil || string(got) != raw {
			t.Errorf("%s is read as %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "aaaaa", "aaaaaaa", "aaaaa-ab", "AAAAA-AA", "aaaa-aaa", "2vxsx-fa", "rrkah-fqaaa-aaaaa-aaaaq-cai-", "é", "aaaaa-aa\n"} {
		if raw, err := ParsePrincipal(text); err == nil {
			t.Errorf("%q is read as %q", text, raw)
		}
	}
	if id, ok := CanisterOf(Principal(1 << 63)); !ok || id != 1<<63 {
		t.Errorf("%d, %v", id, ok)
	}
	if _, ok := CanisterOf([]byte("caller")); ok {
		t.Error("a caller is a canister")
	}
}
