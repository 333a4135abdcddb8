package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"lockstep/figure"
)

const (
	roundsMeasured  = 1500 // of a run
	roundsBetween   = 100  // the starts of two jobs
	roundRuns       = 3    // of each kind, that take turns
	areaOfRounds    = 32768
	pagesOfOneRound = 64
)

// timings are the times of rounds: while a job ran beside them, and while none did.
type timings struct {
	beside, alone []time.Duration
	longest       []time.Duration // beside, of each run
	capturing     []time.Duration
}

// job is what runs beside rounds. It is given the state that was captured when it began, and releases it.
type job func(m *machine, captured raft.FSMSnapshot, index uint64) error

// rounds measures rounds beside checkpoints and their merges. What of their time is not the checkpoints' is measured beside: the same
// rounds while a thread does nothing but run, and while as many bytes are written to a plain file.
func (b *run) rounds() error {
	var running, writing, checkpoints timings
	for range roundRuns {
		var sizes []uint64
		var took []time.Duration
		err := b.roundsBeside("checkpoints", &checkpoints, func(m *machine, captured raft.FSMSnapshot, index uint64) error {
			before, start := bytesPassed(), time.Now()
			err := m.persist(captured, index)
			if err == nil {
				_, err = m.checkpoints.Merge()
			}
			sizes, took = append(sizes, bytesPassed()-before), append(took, time.Since(start))
			return err
		})
		if err != nil {
			return err
		}
		data := newPlain(4096, 4).bytes
		n := 0
		err = b.roundsBeside("plain writes", &writing, func(_ *machine, captured raft.FSMSnapshot, _ uint64) error {
			captured.Release()
			size := sizes[n%len(sizes)]
			n++
			_, err := writePlainly(filepath.Join(b.dir, "plain"), data, int(size))
			return err
		})
		if err != nil {
			return err
		}
		err = b.roundsBeside("a running thread", &running, func(_ *machine, captured raft.FSMSnapshot, _ uint64) error {
			captured.Release()
			keepRunning(median(took))
			return nil
		})
		if err != nil {
			return err
		}
	}
	b.pauses(&running, &writing, &checkpoints)
	return nil
}

// roundsBeside runs rounds, and a job beside them every so many rounds unless one still runs.
func (b *run) roundsBeside(name string, t *timings, do job) (err error) {
	b.config.Progress("rounds beside " + name)
	m, err := b.newMachine("rounds")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close(), os.RemoveAll(m.dir)) }()
	write := func(method string, pages, seed int) error {
		return m.apply(message("memory", method, fmt.Sprintf("area=%d pages=%d seed=%d", areaOfRounds, pages, seed)))
	}
	if err := errors.Join(m.install("memory"), write("sequential", areaOfRounds, 1), m.checkpoint()); err != nil {
		return err
	}
	debug.FreeOSMemory() // or what the runs before have left is given back beside these rounds
	var busy atomic.Bool
	ended := make(chan error, roundsMeasured/roundsBetween+1)
	started := 0
	var beside []time.Duration
	for i := range roundsMeasured {
		if err = b.ctx.Err(); err != nil {
			break
		}
		if i%roundsBetween == 0 && !busy.Load() {
			start := time.Now()
			captured, err := m.Snapshot()
			if err != nil {
				return err
			}
			t.capturing = append(t.capturing, time.Since(start))
			busy.Store(true)
			index := m.index
			started++
			go func() {
				err := do(m, captured, index)
				busy.Store(false)
				ended <- err
			}()
		}
		during := busy.Load()
		start := time.Now()
		if err = write("random", pagesOfOneRound, i+2); err != nil {
			break
		}
		if took := time.Since(start); during {
			beside = append(beside, took)
		} else if !busy.Load() {
			t.alone = append(t.alone, took)
		}
	}
	for range started {
		err = errors.Join(err, <-ended)
	}
	t.beside = append(t.beside, beside...)
	t.longest = append(t.longest, quantile(beside, 1))
	return err
}

// pauses are the figures of rounds. The goal is about the delay that is beyond disk contention: beyond that of the same rounds beside
// plain writes.
func (b *run) pauses(running, writing, checkpoints *timings) {
	alone := slices.Concat(running.alone, writing.alone, checkpoints.alone)
	b.figure(roundTimes("nothing", alone, []time.Duration{quantile(alone, 1)}))
	b.figure(roundTimes("a thread of low priority that does nothing but run", running.beside, running.longest))
	b.figure(roundTimes("plain writes of as many bytes as checkpoints, with one sync each", writing.beside, writing.longest))
	b.figure(roundTimes(fmt.Sprintf("checkpoints of %d MiB and their merges", areaOfRounds>>8), checkpoints.beside, checkpoints.longest))
	middle := median(checkpoints.beside)
	for _, of := range []struct {
		which         string
		ours, plainly time.Duration
	}{
		{"99th of 100", quantile(checkpoints.beside, 0.99), quantile(writing.beside, 0.99)},
		{"longest of a run, median of runs", median(checkpoints.longest), median(writing.longest)},
	} {
		x := float64(of.ours-of.plainly) / float64(max(middle, 1))
		b.figure(figure.Figure{Work: "rounds beside checkpoints, beyond those beside plain writes, of their median: " + of.which, Goal: "2x",
			Measured: fmt.Sprintf("%.2fx: %.2f and %.2f ms", x, millis(of.ours), millis(of.plainly)), Met: x <= 2, Values: map[string]float64{"ratio": x}})
	}
	b.figure(figure.Figure{Work: "capturing a state on the apply goroutine, longest", Measured: fmt.Sprintf("%.1f us", millis(quantile(checkpoints.capturing, 1))*1000),
		Values: map[string]float64{"us": millis(quantile(checkpoints.capturing, 1)) * 1000}})
}

func roundTimes(beside string, d, longest []time.Duration) figure.Figure {
	middle, late := median(d), quantile(d, 0.99)
	return figure.Figure{Work: fmt.Sprintf("%d rounds of %d pages beside %s", len(d), pagesOfOneRound, beside),
		Measured: fmt.Sprintf("median %.2f ms, 99th of 100 %.2f ms (%.1fx), longest %.1f", millis(middle), millis(late), ratio(late, middle), millis(quantile(longest, 1))),
		Values:   map[string]float64{"median ms": millis(middle), "99th ms": millis(late), "longest ms": millis(quantile(longest, 1))}}
}

// keepRunning keeps a thread of its own busy, of the priority that writing checkpoints has.
func keepRunning(d time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 15)
		for start := time.Now(); time.Since(start) < d; {
		}
	}()
	<-done
}

// bytesPassed is what the process has given to system calls that write, so far; 0 where the kernel does not count it.
func bytesPassed() (n uint64) {
	text, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(text)) {
		if got, _ := fmt.Sscanf(line, "wchar: %d", &n); got == 1 {
			return n
		}
	}
	return 0
}
