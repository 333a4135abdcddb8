//go:build cgo

package memstore_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/memstore"
)

const guest = `(module
  (import "host" "poke" (func $poke (param i32 i32)))
  (import "host" "nil" (func $nil))
  (memory (export "memory") 4 64)
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "host_store") (param i32 i32) (call $poke (local.get 0) (local.get 1)))
  (func (export "host_nil") (call $nil))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "unreachable") unreachable)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))))`

// instance is a live Wasm instance with a tracked memory.
type instance struct {
	t      testing.TB
	store  *wasmtime.Store
	inst   *wasmtime.Instance
	memory *wasmtime.Memory
	m      *memstore.Memory
}

var engineOnce = sync.OnceValue(func() *wasmtime.Engine {
	c := wasmtime.NewConfig()
	c.SetMemoryInitCOWSet(false)
	return wasmtime.NewEngineWithConfig(c)
})

func newInstance(t testing.TB, pages *memstore.Store, name memstore.Tracker) *instance {
	t.Helper()
	wasm, err := wasmtime.Wat2Wasm(guest)
	must(t, err)
	module, err := wasmtime.NewModule(engineOnce(), wasm)
	must(t, err)
	i := &instance{t: t, store: wasmtime.NewStore(engineOnce())}
	linker := wasmtime.NewLinker(engineOnce())
	must(t, linker.FuncWrap("host", "poke", func(c *wasmtime.Caller, at, x int32) {
		c.GetExport("memory").Memory().UnsafeData(c)[at] = byte(x)
	}))
	must(t, linker.FuncWrap("host", "nil", func() {
		defer func() {
			if r := recover(); r == nil || !strings.Contains(r.(error).Error(), "nil pointer") {
				t.Errorf("a nil dereference in a host function gave %v", r)
			}
		}()
		var p *int
		*p = 1
	}))
	i.inst, err = linker.Instantiate(i.store, module)
	must(t, err)
	i.memory = i.inst.GetExport(i.store, "memory").Memory()
	i.m, err = memstore.Attach(memstore.MemoryConfig{
		Store: pages, Tracker: name, Base: uintptr(i.memory.Data(i.store)), Reserved: 4 << 30,
		Size: uint64(i.memory.DataSize(i.store)),
	})
	must(t, err)
	return i
}

func (i *instance) close() {
	must(i.t, i.m.Detach())
	i.store.Close()
}

func (i *instance) size() memstore.PageCount {
	return memstore.PageCount(i.memory.DataSize(i.store) / memstore.PageSize)
}

func (i *instance) call(name string, args ...any) (any, error) {
	return i.inst.GetFunc(i.store, name).Call(i.store, args...)
}

func (i *instance) commit(want ...memstore.PageIndex) {
	i.t.Helper()
	c, err := i.m.Commit(i.size())
	must(i.t, err)
	if len(c.Changed) != len(want) {
		i.t.Fatalf("changed %v, want %v", c.Changed, want)
	}
	for k := range want {
		if c.Changed[k] != want[k] {
			i.t.Fatalf("changed %v, want %v", c.Changed, want)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eachTracker(t *testing.T, f func(t *testing.T, name memstore.Tracker)) {
	for _, name := range memstore.Trackers() {
		t.Run(string(name), func(t *testing.T) { f(t, name) })
	}
}

// TestEngineTraps runs a real engine: its traps must trap, host functions must reach protected pages, nil dereferences in
// Go must panic, under every tracker.
func TestEngineTraps(t *testing.T) {
	eachTracker(t, func(t *testing.T, name memstore.Tracker) {
		pages, err := memstore.OpenStore(memstore.StoreConfig{})
		must(t, err)
		defer pages.Close()
		i := newInstance(t, pages, name)
		defer i.close()

		must(t, i.m.Begin())
		_, err = i.call("store", 4096*3, 7)
		must(t, err)
		_, err = i.call("host_store", 4096*5, 1)
		must(t, err)
		_, err = i.call("host_nil")
		must(t, err)
		i.commit(3, 5)

		for _, bad := range []struct {
			name string
			args []any
			want string
		}{
			{"store", []any{4 * 65536, 1}, "out of bounds"},
			{"load", []any{-1}, "out of bounds"},
			{"store", []any{4*65536 - 2, 1}, "out of bounds"},
			{"fill", []any{0, 1, 5 * 65536}, "out of bounds"},
			{"divide", []any{0}, "divide by zero"},
			{"unreachable", nil, "unreachable"},
			{"deep", []any{1}, "call stack exhausted"},
		} {
			must(t, i.m.Begin())
			_, err = i.call("store", 4096*3, 8)
			must(t, err)
			if _, err = i.call(bad.name, bad.args...); err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("%s%v: got %v, want a trap with %q", bad.name, bad.args, err, bad.want)
			}
			must(t, i.m.Rollback(i.size()))
			must(t, i.m.Begin())
			if x, err := i.call("load", 4096*3); err != nil || x.(int32) != 7 {
				t.Errorf("after %s and rollback: %v, %v", bad.name, x, err)
			}
			i.commit()
		}

		must(t, i.m.Begin())
		_, err = i.call("grow", 2)
		must(t, err)
		_, err = i.call("store", 5*65536, 9)
		must(t, err)
		i.commit(5 * 16)
		must(t, i.m.Begin())
		_, err = i.call("store", 5*65536+4096, 9)
		must(t, err)
		i.commit(5*16 + 1)
		nilPanics(t)
	})
}

func nilPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a nil dereference did not panic")
		}
	}()
	var p *int
	*p = 1
}

// TestEngineManyThreads has memories of several threads fault at once, come and go, and trap, with the collector running.
func TestEngineManyThreads(t *testing.T) {
	pages, err := memstore.OpenStore(memstore.StoreConfig{})
	must(t, err)
	defer pages.Close()
	names := memstore.Trackers()
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for n := range 6 {
				i := newInstance(t, pages, names[(w+n)%len(names)])
				for k := range 8 {
					must(t, i.m.Begin())
					_, err := i.call("store", 4096*k, k+1)
					must(t, err)
					_, err = i.call("load", 100<<20)
					if err == nil {
						t.Error("no trap")
					}
					i.commit(memstore.PageIndex(k))
					runtime.GC()
				}
				pages.Drop(i.m.Version())
				i.close()
			}
		})
	}
	wait.Wait()
	if s := pages.Stats(); s.Live != 0 {
		t.Errorf("store leaks: %+v", s)
	}
}
