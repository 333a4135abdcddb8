package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lockstep/chaos/plan"
	"lockstep/chaos/sim"
	"lockstep/figure"
)

// Config says what to measure.
type Config struct {
	// Pool runs simulations, one at a time. Required; its program must serve package plant's bugs.
	Pool *sim.Pool
	// Draw draws the plan that a user gets for a seed of simulated runs. Required.
	Draw func(seed uint64) *plan.Plan
	// Real runs the plan that a user gets for a seed of real runs. nil leaves real runs out.
	Real func(ctx context.Context, seed uint64) (RealRun, error)
	// Seeds and RealSeeds are how many drawn plans are run, from seed 1; 0 means 60 and 6.
	Seeds, RealSeeds uint64
	// MiB is the size of the states that differ; 0 means 1024. Calls is how many calls are judged; 0 means 1 000 000.
	MiB, Calls int
	// Dir is where the states' checkpoints are written; "" is the system's folder for temporary files.
	Dir string
	// Only are the parts to measure, see Parts; empty: all of them.
	Only []string
	// Progress is told what is being measured; nil means nobody.
	Progress func(string)
}

// RealRun is what a real run came to.
type RealRun struct {
	// Verified counts the faults that had an effect and after which all replicas were seen equal again, CPU is what all processes used.
	Verified int
	CPU      time.Duration
}

// Result is everything that was measured.
type Result struct {
	Figures []figure.Figure `json:"figures"`
	Seconds float64         `json:"seconds"`
}

// parts are what can be measured, in the order in which it is.
var parts = []struct {
	name, what string
	measure    func(*run) error
}{
	{"speed", "simulated time per processor time", (*run).speeds},
	{"drawn", "drawn plans, simulated", (*run).drawn},
	{"real", "drawn plans, real", (*run).reals},
	{"planted", "planted bugs", (*run).planted},
	{"upstream", "known defects of raft", (*run).upstream},
	{"localise", "finding what differs", (*run).localise},
	{"linear", "linearizability", (*run).linear},
}

// Parts are the names of what can be measured.
func Parts() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// Run measures everything, or what c.Only names. It stops when ctx ends, with what it has and ctx's error.
func Run(ctx context.Context, c Config) (*Result, error) {
	for _, name := range c.Only {
		if !slices.Contains(Parts(), name) {
			return nil, fmt.Errorf("%q can't be measured: want some of %s", name, strings.Join(Parts(), ", "))
		}
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	c.Seeds, c.RealSeeds = cmp.Or(c.Seeds, 60), cmp.Or(c.RealSeeds, 6)
	c.MiB, c.Calls = cmp.Or(c.MiB, 1024), cmp.Or(c.Calls, 1_000_000)
	r := &run{ctx: ctx, Config: c, result: &Result{}}
	began := time.Now()
	for _, p := range parts {
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.name) {
			continue
		}
		c.Progress(p.what)
		err := errors.Join(ctx.Err(), p.measure(r))
		if r.result.Seconds = time.Since(began).Seconds(); err != nil {
			return r.result, fmt.Errorf("%s: %w", p.what, err)
		}
	}
	return r.result, nil
}

// run is the state of Run.
type run struct {
	Config
	ctx    context.Context
	result *Result
}

func (b *run) figure(f figure.Figure) { b.result.Figures = append(b.result.Figures, f) }

// WriteJSON writes the result for machines.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the figures as a table.
func (r *Result) WriteText(w io.Writer) error {
	if err := figure.WriteTable(w, r.Figures); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nmeasured in %.0f s\n", r.Seconds)
	return err
}
