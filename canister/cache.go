//go:build cgo

package canister

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"lockstep/canister/program"
)

// cacheKey names a compiled module: the hash over everything that went in.
type cacheKey [sha256.Size]byte

// compilation is a module being compiled, or compiled, once for all callers.
type compilation struct {
	once   sync.Once
	module *Module
	err    error
}

// Compile compiles a program, or takes it from the cache. A program that the
// engine finds invalid gives a *program.Refusal; other errors are the world's.
// Calls for one program wait for one compilation, across processes too if they
// share a cache.
func (e *Engine) Compile(p *Program) (*Module, error) {
	key := e.cacheKey(p)
	e.mu.Lock()
	if e.modules == nil {
		e.mu.Unlock()
		return nil, errors.New("compile module: the engine is closed")
	}
	e.compiling.Add(1)
	defer e.compiling.Done()
	c := e.modules[key]
	if c == nil {
		c = &compilation{}
		e.modules[key] = c
	}
	e.mu.Unlock()
	c.once.Do(func() {
		compiled, err := e.load(key, p)
		if err != nil {
			c.err = err
			e.mu.Lock()
			delete(e.modules, key) // the world may be better next time
			e.mu.Unlock()
			return
		}
		c.module = &Module{Program: p, compiled: compiled}
	})
	return c.module, c.err
}

// Compiled is the number of modules that the engine has compiled itself, those
// not counted that it took from its cache.
func (e *Engine) Compiled() uint64 { return e.compiled.Load() }

func (e *Engine) cacheKey(p *Program) cacheKey {
	h := sha256.New()
	level := e.config.OptLevel
	if level == "" {
		level = OptSpeed
	}
	// The limits are named although the code has them: a module without memory is the same code under all, and yet its
	// Program says which.
	fmt.Fprintf(h, "lockstep/compiled/2\n%s\n%s\n%s\n%d %d\n", engineVersion, level, p.Hash, p.Config.MemoryPages, p.Config.StackUnits)
	h.Write(p.Wasm)
	return cacheKey(h.Sum(nil))
}

// load takes the module from the cache folder or compiles it and puts it there.
func (e *Engine) load(key cacheKey, p *Program) (*wasmtime.Module, error) {
	if e.config.CacheDir == "" {
		return e.compile(p)
	}
	if err := os.MkdirAll(e.config.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("cache of compiled modules: %w", err)
	}
	path := filepath.Join(e.config.CacheDir, hex.EncodeToString(key[:])+".compiled")
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("cache of compiled modules: %w", err)
	}
	defer unlock()
	if m, err := e.fromCache(key, path); m != nil || err != nil {
		return m, err
	}
	m, err := e.compile(p)
	if err != nil {
		return nil, err
	}
	code, err := m.Serialize()
	if err != nil {
		return nil, fmt.Errorf("serialize compiled module: %w", err)
	}
	if err := writeCacheFile(path, key, code); err != nil {
		return nil, fmt.Errorf("cache of compiled modules: %w", err)
	}
	return m, nil
}

// Validate gives the *program.Refusal that Compile would give, nil if there is none. It costs a small part of what Compile does.
func (e *Engine) Validate(p *Program) error {
	// The original first: what preparation adds could make an invalid module valid.
	for _, wasm := range [][]byte{p.Original, p.Wasm} {
		if err := wasmtime.ModuleValidate(e.engine, wasm); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			return &program.Refusal{Offset: -1, Reason: "the engine finds it invalid: " + program.Printable(first)}
		}
	}
	return nil
}

func (e *Engine) compile(p *Program) (*wasmtime.Module, error) {
	if err := e.Validate(p); err != nil {
		return nil, err
	}
	m, err := wasmtime.NewModule(e.engine, p.Wasm)
	if err != nil {
		return nil, fmt.Errorf("compile module %s: %w", p.Hash, err)
	}
	e.compiled.Add(1)
	return m, nil
}

// A cache file is a header and the engine's serialized code:
//
//	offset  size  contents
//	     0    16  "lockstep/code/1\n"
//	    16    32  cache key
//	    48    32  SHA-256 of the code
//	    80     -  code
const (
	cacheMagic  = "lockstep/code/1\n"
	cacheHeader = len(cacheMagic) + 2*sha256.Size
)

// fromCache gives nil for a file that is missing, damaged, or made by an
// engine that this one does not understand: it will be replaced.
func (e *Engine) fromCache(key cacheKey, path string) (*wasmtime.Module, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache of compiled modules: %w", err)
	}
	if len(data) < cacheHeader {
		return nil, nil
	}
	code := data[cacheHeader:]
	sum := sha256.Sum256(code)
	if !bytes.Equal(data[:cacheHeader], cacheHead(key, sum)) {
		return nil, nil
	}
	m, err := wasmtime.NewModuleDeserialize(e.engine, code)
	if err != nil {
		return nil, nil // another processor or build of the engine
	}
	return m, nil
}

func cacheHead(key cacheKey, sum [sha256.Size]byte) []byte {
	return append(append([]byte(cacheMagic), key[:]...), sum[:]...)
}

// writeCacheFile makes the file appear whole. It is not synced: a crash may
// lose or damage it, and the checksum tells.
func writeCacheFile(path string, key cacheKey, code []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(cacheHead(key, sha256.Sum256(code)))
	if err == nil {
		_, err = f.Write(code)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// lockFile waits for the lock on a file. The file stays; it is empty.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
