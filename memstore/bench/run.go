package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/memstore"
)

// Config says what to measure. The zero value is usable.
type Config struct {
	// Dir is where contents files are made, and unlinked at once. "" means the system's folder for temporary files. Half a
	// gigabyte is written.
	Dir string
	// Budget bounds the matrix; cells that do not fit are left out and said to be. 0 means what the mixed workload and the
	// figures leave of three minutes.
	Budget time.Duration
	// Progress is told what is being measured; nil means nobody.
	Progress func(string)
}

// Run measures everything. It stops between two messages when ctx ends, with what it has and ctx's error.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	start := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // see heat
	r := &Result{Machine: machine()}
	w, err := newWorkshop()
	if err != nil {
		return r, err
	}
	s, err := memstore.OpenStore(memstore.StoreConfig{CopyIn: memstore.CopyInConfig{Manual: true}})
	if err != nil {
		return r, err
	}
	defer s.Close()
	busy, err := memstore.OpenStore(memstore.StoreConfig{CopyIn: memstore.CopyInConfig{PerWrite: -1}})
	if err != nil {
		return r, err
	}
	defer busy.Close()
	b := &run{ctx: ctx, started: start, config: c, workshop: w, store: s, busy: busy, result: r}
	for _, part := range []func() error{b.mixed, b.stream, b.figures, b.matrix} {
		if err := part(); err != nil {
			return r, err
		}
		r.Took = time.Since(start)
	}
	return r, nil
}

// run is the state of Run.
type run struct {
	ctx      context.Context
	config   Config
	workshop *workshop
	store    *memstore.Store
	busy     *memstore.Store // of memories that get no pause
	result   *Result
	started  time.Time
	heated   time.Time // when heat last did something
	deadline time.Time // of the block of the matrix that is being measured
}

// subject opens a series by name.
func (b *run) subject(name memstore.Tracker, from source, pages memstore.PageCount, query bool) (series, error) {
	if name == untracked || name == resident {
		return newPlain(b.workshop, name, from, pages)
	}
	if name == noPause {
		return newTracked(b.workshop, b.busy, memstore.TrackerAdaptive, from, pages, query)
	}
	return newTracked(b.workshop, b.store, name, from, pages, query)
}

// pauseAfter is how long a memory rests after each of its messages: far less than a round of consensus takes. What a
// tracker does in it is measured beside the messages.
const pauseAfter = 2 * time.Millisecond

// rest is the pause after a message, for all memories of the store at once.
func (b *run) rest() { b.store.CopyIn(pauseAfter) }

// repeat runs messages of one series: some that are not counted, then n that are.
func (b *run) repeat(s series, op string, p Pattern, warmups, n int) (samples []Sample, err error) {
	for i := range warmups + n {
		if err := b.ctx.Err(); err != nil {
			return samples, err
		}
		b.heat()
		one, err := s.message(op, p, i+1, false)
		if err != nil {
			return samples, err
		}
		b.rest()
		if i >= warmups {
			samples = append(samples, one)
		}
	}
	return samples, nil
}

func costs(samples []Sample) (cpu, wall, save []time.Duration) {
	for _, s := range samples {
		cpu, wall, save = append(cpu, s.CPU), append(wall, s.Wall), append(save, s.Save)
	}
	return cpu, wall, save
}

func medianCPU(samples []Sample) time.Duration {
	cpu, _, _ := costs(samples)
	m, _, _ := summary(cpu)
	return m
}

// medianFinding is the median without the comparison.
func medianFinding(samples []Sample) time.Duration {
	var d []time.Duration
	for _, s := range samples {
		d = append(d, s.CPU-s.Compare)
	}
	m, _, _ := summary(d)
	return m
}

func machine() Machine {
	var u unix.Utsname
	_ = unix.Uname(&u)
	m := Machine{Kernel: unix.ByteSliceToString(u.Release[:]), Processors: runtime.NumCPU(), Probe: memstore.Probe()}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Processor = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// shortMessage is a failure for a table.
func shortMessage(err error) string {
	var m *memstore.MapError
	if errors.As(err, &m) {
		return fmt.Sprintf("%s: errno %d", m.Op, int(m.Errno))
	}
	return err.Error()
}

// availableMemory is what the machine can give, in bytes.
func availableMemory() uint64 {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(info)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
