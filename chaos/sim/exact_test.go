//go:build cgo

package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// TestExact runs the cluster as a Wasm program, whose host decides all that is chance: what is random, and the time. The same seed of
// the host gives the same history, byte for byte; another one another history. Building and compiling the program takes a minute.
func TestExact(t *testing.T) {
	if os.Getenv("LOCKSTEP_EXACT") == "" {
		t.Skip("LOCKSTEP_EXACT is not set")
	}
	path := filepath.Join(t.TempDir(), "sim.wasm")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, ".")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	config := wasmtime.NewConfig()
	config.SetCraneliftOptLevel(wasmtime.OptLevelNone)
	engine := wasmtime.NewEngineWithConfig(config)
	module, err := wasmtime.NewModuleFromFile(engine, path)
	if err != nil {
		t.Fatal(err)
	}
	first, again, other := exactRun(t, engine, module, 7), exactRun(t, engine, module, 7), exactRun(t, engine, module, 8)
	if !bytes.Equal(first, again) {
		t.Error("the same seed gives two histories")
	}
	if bytes.Equal(first, other) {
		t.Error("another seed gives the same history: nothing of the host's reaches it")
	}
}

// exactRun runs TestGuest on a host with a seed, and gives the history and the verdict that it writes.
func exactRun(t *testing.T, engine *wasmtime.Engine, module *wasmtime.Module, seed uint64) []byte {
	t.Helper()
	root, out := t.TempDir(), filepath.Join(t.TempDir(), "stdout")
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	wasi := wasmtime.NewWasiConfig()
	wasi.SetArgv([]string{"sim.test", "-test.run=^TestGuest$"})
	wasi.SetEnv([]string{"TMPDIR", "PWD"}, []string{"/tmp", "/"})
	wasi.InheritStderr()
	err := errors.Join(wasi.SetStdoutFile(out),
		wasi.PreopenDir(root, "/", wasmtime.DIR_READ|wasmtime.DIR_WRITE, wasmtime.FILE_READ|wasmtime.FILE_WRITE))
	store, linker := wasmtime.NewStore(engine), wasmtime.NewLinker(engine)
	store.SetWasi(wasi)
	linker.AllowShadowing(true)
	err = errors.Join(err, linker.DefineWasi())
	memory := func(c *wasmtime.Caller, at, length int32) []byte {
		return c.GetExport("memory").Memory().UnsafeData(c)[uint32(at):][:uint32(length)]
	}
	chance, now := rand.NewChaCha8([32]byte{byte(seed)}), uint64(1_700_000_000_000_000_000)
	err = errors.Join(err,
		linker.FuncWrap("wasi_snapshot_preview1", "random_get", func(c *wasmtime.Caller, at, length int32) int32 {
			_, _ = chance.Read(memory(c, at, length)) // it never fails
			return 0
		}),
		linker.FuncWrap("wasi_snapshot_preview1", "clock_time_get", func(c *wasmtime.Caller, _ int32, _ int64, at int32) int32 {
			now += 1000 // who asks again sees that time goes on
			binary.LittleEndian.PutUint64(memory(c, at, 8), now)
			return 0
		}))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := linker.Instantiate(store, module)
	if err != nil {
		t.Fatal(err)
	}
	_, err = instance.GetFunc(store, "_start").Call(store)
	if ended, ok := errors.AsType[*wasmtime.Error](err); ok {
		if code, exited := ended.ExitStatus(); exited && code == 0 {
			err = nil
		}
	}
	history, readErr := os.ReadFile(out)
	if err = errors.Join(err, readErr); err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, history)
	}
	lines := bytes.Split(bytes.TrimSpace(history), []byte("\n"))
	verdict := lines[len(lines)-1]
	if !bytes.HasPrefix(verdict, []byte("AGREED")) {
		t.Errorf("seed %d: %s", seed, verdict)
	}
	t.Logf("seed %d: %d lines, then %s", seed, len(lines)-1, verdict)
	return history
}
