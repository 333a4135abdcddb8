package bench

import (
	"fmt"
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/memstore"
)

// guest walks over memory. Page of step i is (i*mul + add) & mask, the word in it is chosen by the page's number.
const guest = `(module
  (memory (export "memory") 1 65536)
  (func $at (param $page i32) (result i32)
    (i32.or (i32.shl (local.get $page) (i32.const 12))
            (i32.and (i32.shr_u (i32.mul (local.get $page) (i32.const 0x9E3779B1)) (i32.const 19)) (i32.const 4088))))
  (func (export "read") (param $n i32) (param $mul i32) (param $add i32) (param $mask i32) (param $x i32)
    (local $i i32) (local $sum i64)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (call $at
        (i32.and (i32.add (i32.mul (local.get $i) (local.get $mul)) (local.get $add)) (local.get $mask))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (if (i64.eq (local.get $sum) (i64.const 0x123456789)) (then unreachable)))
  (func (export "write") (param $n i32) (param $mul i32) (param $add i32) (param $mask i32) (param $x i32)
    (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (i64.store (call $at
        (i32.and (i32.add (i32.mul (local.get $i) (local.get $mul)) (local.get $add)) (local.get $mask)))
        (i64.extend_i32_u (local.get $x)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))
  (func (export "read-write") (param $n i32) (param $mul i32) (param $add i32) (param $mask i32) (param $x i32)
    (local $i i32) (local $p i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $p (call $at
        (i32.and (i32.add (i32.mul (local.get $i) (local.get $mul)) (local.get $add)) (local.get $mask))))
      (i64.store (local.get $p) (i64.add (i64.load (local.get $p)) (i64.extend_i32_u (local.get $x))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))
  (func (export "read-dense") (param $from i32) (param $n i32) (param $x i32)
    (local $i i32) (local $sum i64)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (i32.add (local.get $from) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 64)))
      (br $next)))
    (if (i64.eq (local.get $sum) (i64.const 0x123456789)) (then unreachable)))
  (func (export "write-dense") (param $from i32) (param $n i32) (param $x i32)
    (memory.fill (local.get $from) (local.get $x) (local.get $n)))
  (func (export "read-write-dense") (param $from i32) (param $n i32) (param $x i32)
    (local $i i32) (local $p i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $p (i32.add (local.get $from) (local.get $i)))
      (i64.store (local.get $p) (i64.add (i64.load (local.get $p)) (i64.extend_i32_u (local.get $x))))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br $next)))))`

// Pattern is a set of pages in an order.
type Pattern struct {
	Name  string
	Pages int
	mul   uint32
	add   uint32
	dense bool
	fresh bool // other pages in every message
}

const scatter = 0x9E3779B1 // odd: a walk in steps of it meets every page once, far from the one before

func sequential(n int) Pattern { return Pattern{Name: "forward", Pages: n, mul: 1} }
func backward(n int) Pattern {
	return Pattern{Name: "backward", Pages: n, mul: math.MaxUint32, add: uint32(n - 1)}
}
func random(name string, n int) Pattern {
	return Pattern{Name: name, Pages: n, mul: scatter, add: 77, fresh: true}
}
func clustered() Pattern { return Pattern{Name: "10 clustered", Pages: 10, mul: 1, add: 1000} }
func scattered() Pattern { return Pattern{Name: "10 scattered", Pages: 10, mul: scatter, add: 5} }
func scatteredFresh() Pattern {
	return Pattern{Name: "10 scattered, new each time", Pages: 10, mul: scatter, add: 5, fresh: true}
}
func dense(bytes int) Pattern {
	return Pattern{Name: fmt.Sprintf("dense %d MiB", bytes>>20), Pages: bytes / memstore.PageSize, dense: true}
}

// rig is a Wasm instance whose memory has a power of two of pages.
type rig struct {
	store *wasmtime.Store
	inst  *wasmtime.Instance
	base  uintptr
	pages memstore.PageCount
	funcs map[string]*wasmtime.Func
}

// workshop is what all rigs share.
type workshop struct {
	engine *wasmtime.Engine
	module *wasmtime.Module
}

func newWorkshop() (*workshop, error) {
	c := wasmtime.NewConfig()
	c.SetMemoryInitCOWSet(false)
	w := &workshop{engine: wasmtime.NewEngineWithConfig(c)}
	wasm, err := wasmtime.Wat2Wasm(guest)
	if err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	if w.module, err = wasmtime.NewModule(w.engine, wasm); err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	return w, nil
}

func (w *workshop) rig(pages memstore.PageCount) (*rig, error) {
	r := &rig{store: wasmtime.NewStore(w.engine), pages: pages, funcs: map[string]*wasmtime.Func{}}
	var err error
	if r.inst, err = wasmtime.NewInstance(r.store, w.module, nil); err != nil {
		return nil, fmt.Errorf("instantiate guest: %w", err)
	}
	memory := r.inst.GetExport(r.store, "memory").Memory()
	if _, err := memory.Grow(r.store, uint64(pages/16-1)); err != nil {
		return nil, fmt.Errorf("grow guest memory to %d pages: %w", pages, err)
	}
	r.base = uintptr(memory.Data(r.store))
	for _, f := range []string{"read", "write", "read-write", "read-dense", "write-dense", "read-write-dense"} {
		r.funcs[f] = r.inst.GetFunc(r.store, f)
	}
	return r, nil
}

func (r *rig) close() { r.store.Close() }

// run executes one message. x differs from message to message.
func (r *rig) run(op string, p Pattern, x int) error {
	var err error
	if p.dense {
		_, err = r.funcs[op+"-dense"].Call(r.store, int32(0), int32(uint32(p.Pages*memstore.PageSize)), int32(x%255+1))
	} else {
		add := p.add
		if p.fresh {
			add += uint32(uint64(x) * 0x9E3779B97F4A7C15 >> 32)
		}
		_, err = r.funcs[op].Call(r.store, int32(p.Pages), int32(p.mul), int32(add), int32(r.pages-1), int32(x))
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, p.Name, err)
	}
	return nil
}
