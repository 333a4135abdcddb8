package canister

import (
	"crypto/sha256"
	"reflect"
	"runtime"
	"testing"
	"time"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
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

// Replicas of one process share a program, so nothing else shows whether preparing a module gives the same one each time.
func TestPreparingTwiceGivesTheSame(t *testing.T) {
	cfg := DefaultLimits().shape()
	cfg.Imports, cfg.Waits = systemapi.ImportType, systemapi.ImportWaits
	for i, text := range []string{counterWAT, scribbleWAT} {
		wasm := wat(t, text)
		first, err := program.Prepare(wasm, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			again, err := program.Prepare(wasm, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(first, again) {
				t.Fatalf("module %d is prepared in another way the second time", i)
			}
		}
	}
}
