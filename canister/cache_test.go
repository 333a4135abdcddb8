package canister

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func cachedEngine(t *testing.T, dir string) *Engine {
	t.Helper()
	e, err := NewEngine(EngineConfig{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func cacheFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.compiled"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestCache compiles once, finds the file again, and does not trust it when it
// was damaged anywhere.
func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	p, err := Prepare(wat(t, counterWAT), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	e := cachedEngine(t, dir)
	var all sync.WaitGroup
	modules := make([]*Module, 4)
	for i := range modules {
		all.Go(func() {
			m, err := e.Compile(p)
			if err != nil {
				t.Error(err)
			}
			modules[i] = m
		})
	}
	all.Wait()
	for _, m := range modules {
		if m != modules[0] {
			t.Error("compiled twice")
		}
	}
	files := cacheFiles(t, dir)
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if m, err := e.fromCache(e.cacheKey(p), files[0]); m == nil || err != nil {
		t.Errorf("a whole file is not used: %v", err)
	} else {
		m.Close()
	}
	for _, damage := range []struct {
		name string
		do   func(b []byte) []byte
	}{
		{"empty", func(b []byte) []byte { return nil }},
		{"header only", func(b []byte) []byte { return b[:cacheHeader] }},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }},
		{"longer", func(b []byte) []byte { return append(b, 0) }},
		{"magic", func(b []byte) []byte { b[0]++; return b }},
		{"key", func(b []byte) []byte { b[20]++; return b }},
		{"checksum", func(b []byte) []byte { b[50]++; return b }},
		{"code", func(b []byte) []byte { b[len(b)/2]++; return b }},
	} {
		if err := os.WriteFile(files[0], damage.do(append([]byte(nil), whole...)), 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := e.fromCache(e.cacheKey(p), files[0]); m != nil || err != nil {
			t.Errorf("%s: used, %v", damage.name, err)
		}
		if _, err := cachedEngine(t, dir).Compile(p); err != nil {
			t.Errorf("%s: %v", damage.name, err)
		}
		if m, err := e.fromCache(e.cacheKey(p), files[0]); m == nil || err != nil {
			t.Errorf("%s: not repaired: %v", damage.name, err)
		} else {
			m.Close()
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCacheKey: whatever decides the code decides the name of the file.
func TestCacheKey(t *testing.T) {
	small, big := DefaultLimits(), DefaultLimits()
	small.MemoryBytes = 1 << 20
	keys := map[cacheKey]bool{}
	for _, engine := range allEngines {
		for _, limits := range []Limits{small, big} {
			p, err := Prepare(wat(t, scribbleWAT), limits)
			if err != nil {
				t.Fatal(err)
			}
			keys[testEngine(t, engine).cacheKey(p)] = true
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys for 6 kinds of code", len(keys))
	}
}

func TestCacheUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(wat(t, counterWAT), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cachedEngine(t, filepath.Join(file, "dir")).Compile(p); err == nil || refusal(err) != "" {
		t.Errorf("got %v, want a failure of the world", err)
	}
}

func TestConfigValidate(t *testing.T) {
	if err := (EngineConfig{OptLevel: "fast"}).Validate(); err == nil {
		t.Error("an unknown level passes")
	}
	if err := (EngineConfig{CallPath: "fast"}).Validate(); err == nil {
		t.Error("an unknown call path passes")
	}
	for i, change := range []func(*Limits){
		func(l *Limits) { l.MemoryBytes = 65537 },
		func(l *Limits) { l.MemoryBytes = 4<<30 + 65536 },
		func(l *Limits) { l.StableBytes = 65537 },
		func(l *Limits) { l.StableBytes = 64<<30 + 65536 },
		func(l *Limits) { l.Fuel = 0 },
		func(l *Limits) { l.InstallFuel = 1 << 63 },
		func(l *Limits) { l.ReplyBytes = 0 },
		func(l *Limits) { l.StackUnits = 1 },
		func(l *Limits) { l.StackUnits = 1 << 32 },
	} {
		l := DefaultLimits()
		change(&l)
		if l.Validate() == nil {
			t.Errorf("limits %d pass: %+v", i, l)
		}
	}
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
	c := plainSetup().config(t)
	m := compile(t, c, wat(t, counterWAT))
	c.Limits.MemoryBytes /= 2
	if _, _, err := Install(c, m, Env{}, nil); err == nil {
		t.Error("a module runs under other limits than it was prepared with")
	}
}

// BenchmarkCompile gives what making a module ready costs: compiled anew, and taken from the folder of compiled modules, as a
// replica does that starts again.
func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"life", "index", "counter-enhanced", "store-enhanced"} {
		wasm, err := os.ReadFile(filepath.Join(guestDir, name+".wasm"))
		if err != nil {
			b.Fatal(err)
		}
		p, err := Prepare(wasm, DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		for _, cached := range []bool{false, true} {
			b.Run(fmt.Sprintf("module=%s/bytes=%d/cached=%t", name, len(wasm), cached), func(b *testing.B) {
				dir := b.TempDir()
				ready := func() uint64 {
					e, err := NewEngine(EngineConfig{CacheDir: dir})
					if err != nil {
						b.Fatal(err)
					}
					defer e.Close()
					b.StartTimer()
					if _, err = e.Compile(p); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					return e.Compiled()
				}
				b.StopTimer()
				if cached {
					ready()
				}
				b.ResetTimer()
				for range b.N {
					if !cached {
						if err := os.RemoveAll(dir); err != nil {
							b.Fatal(err)
						}
					}
					if compiled := ready(); (compiled == 0) != cached {
						b.Fatalf("%d modules were compiled", compiled)
					}
				}
			})
		}
	}
}
