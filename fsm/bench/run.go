package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"lockstep/canister"
	"lockstep/figure"
)

// Config says what to measure. The zero value is usable but for RestoreCommand.
type Config struct {
	// Dir is where a temporary folder is made. "" means the system's folder for temporary files. At most 3 GiB are in it at once,
	// and 2.5 times the largest of Restore if that is more.
	Dir string
	// Restore are the sizes in MiB of the states that are restored, ascending. Empty: 64 and 1024. A state needs as much memory in
	// the page cache, and 1 GiB beside.
	Restore []int
	// RestoreCommand is the command line of a process that calls RestoreChild with its last argument and prints what that gives as
	// JSON. Empty: restoring is not measured.
	RestoreCommand []string
	// Only are the parts to measure, see Parts; empty: all of them.
	Only []string
	// Progress is told what is being measured; nil means nobody.
	Progress func(string)
}

// parts are what can be measured, in the order in which it is.
var parts = []struct {
	name    string
	measure func(*run) error
}{
	{"bytes", (*run).bytesWritten},
	{"merges", (*run).pyramid},
	{"speed", (*run).throughput},
	{"transfer", (*run).transfer},
	{"compression", (*run).compression},
	{"rounds", (*run).rounds},
	{"restore", (*run).restores},
}

// Parts are the names of what can be measured.
func Parts() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// Run measures everything, or what c.Only names. It stops when ctx ends, with what it has and ctx's error.
func Run(ctx context.Context, c Config) (r *Result, err error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if len(c.Restore) == 0 {
		c.Restore = []int{64, 1024}
	}
	for _, size := range c.Restore {
		if size < 1 || size > 4096 {
			return nil, fmt.Errorf("a state of %d MiB can't be restored: sizes from 1 to 4096 are possible", size)
		}
	}
	for _, name := range c.Only {
		if !slices.Contains(Parts(), name) {
			return nil, fmt.Errorf("%q can't be measured: want some of %s", name, strings.Join(Parts(), ", "))
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "lockstep-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	engine, err := canister.NewEngine(canister.EngineConfig{})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	b := &run{ctx: ctx, config: c, dir: dir, engine: engine, result: newResult(dir)}
	start := time.Now()
	for _, p := range parts {
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.name) {
			continue
		}
		if err := errors.Join(ctx.Err(), p.measure(b)); err != nil {
			return b.result, err
		}
		b.result.Seconds = time.Since(start).Seconds()
	}
	return b.result, nil
}

// run is the state of Run.
type run struct {
	ctx    context.Context
	config Config
	dir    string
	engine *canister.Engine
	result *Result
}

func (b *run) figure(f figure.Figure) { b.result.Figures = append(b.result.Figures, f) }
