package canister

import (
	"crypto/sha256"
	"runtime"
	"testing"
	"time"
)

// A module in use is prepared once for the same limits, anew for others, and forgotten when nothing uses it.
func TestPreparedProgramsAreShared(t *testing.T) {
	limits, other := DefaultLimits(), DefaultLimits()
	other.StackUnits /= 2
	wasm := wat(t, `(module (memory 1) (func (export "canister_update only_here")))`)
	kept := func() int {
		n := 0
		prepared.Range(func(key, _ any) bool {
			if key.(preparation).module == sha256.Sum256(wasm) {
				n++
			}
			return true
		})
		return n
	}
	prepareFor := func(wasm []byte, l Limits) *Program {
		p, err := Prepare(wasm, l)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	func() {
		a, b, c := prepareFor(wasm, limits), prepareFor(append([]byte(nil), wasm...), limits), prepareFor(wasm, other)
		if a != b || a == c || kept() != 2 {
			t.Errorf("one program: %v, the same under other limits: %v, %d kept", a == b, a == c, kept())
		}
		runtime.KeepAlive([]*Program{a, b, c})
	}()
	for range 100 {
		if runtime.GC(); kept() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d programs are kept that nothing uses", kept())
}
