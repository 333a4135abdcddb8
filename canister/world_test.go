package canister

import (
	"strings"
	"testing"
)

// TestMachineShortOfMemory: a growth that the replicated limit allows and the
// machine does not is a failure of the world, after which nothing runs.
func TestMachineShortOfMemory(t *testing.T) {
	for _, engine := range allEngines {
		s := plainSetup()
		s.engine = engine
		r := install(t, s, wat(t, counterWAT))
		before := r.root()
		r.live.store.Limiter(65536, -1, -1, -1, -1) // the engine refuses to grow
		for range 2 {
			_, err := r.Update(r.env(), Message{Method: "grow"})
			if err == nil || !strings.Contains(err.Error(), "short of memory") {
				t.Errorf("%+v: got %v", engine, err)
			}
		}
		if r.root() != before {
			t.Error("the state changed")
		}
	}
}

// TestBackstop: the engine's own limit on stack is never an outcome.
func TestBackstop(t *testing.T) {
	r := install(t, plainSetup(), wat(t, counterWAT))
	if out, err := r.live.trapped(trapStackOverflow, 1, 2); err == nil {
		t.Errorf("got %v", out)
	}
	if out, err := r.live.trapped(11, 1, 2); err == nil {
		t.Errorf("an unknown trap is %v", out)
	}
}

// TestBaseStays grows a memory from one page to most of what its engine keeps addresses for.
func TestBaseStays(t *testing.T) {
	for name, grow := range map[string]string{
		"32 bits": `(memory 1)
	  (func (export "canister_update grow")
	    (if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable))
	    (i32.store (i32.const -400000000) (i32.const 7)) (call $reply))`,
		"64 bits": `(memory i64 1)
	  (func (export "canister_update grow")
	    (if (i64.eq (memory.grow (i64.const 65535)) (i64.const -1)) (then unreachable))
	    (i64.store (i64.const 0xfffffff8) (i64.const 7)) (call $reply))`,
	} {
		t.Run(name, func(t *testing.T) {
			s := plainSetup()
			s.limits = DefaultLimits()
			r := install(t, s, wat(t, `(module (import "ic0" "msg_reply" (func $reply)) `+grow+`)`))
			before := r.live.path.base()
			want(t, r.update("grow", ""), Replied, "")
			if after := r.live.path.base(); after != before {
				t.Errorf("the memory moved from %#x to %#x", before, after)
			}
			if n := r.State().Memory.Pages.Len(); n != 1 {
				t.Errorf("%d pages, want the one written", n)
			}
			want(t, r.update("grow", ""), Trapped, "unreachable")
		})
	}
}
