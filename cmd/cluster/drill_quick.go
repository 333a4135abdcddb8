package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"lockstep/chaos/drill"
)

// runQuick runs drills in this process.
func (o *drillOptions) runQuick(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "lockstep-drill-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := drill.NewEnsemble(drill.EnsembleConfig{Dir: dir, Replicas: o.nodes, SizeMiB: o.size, Seed: o.seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	began := time.Now()
	for n := range o.count {
		if ctx.Err() != nil {
			return &exitError{exitUndecided, fmt.Errorf("interrupted after %d drills", n)}
		}
		name, err := e.Drill()
		if drill.IsViolation(err) {
			return &exitError{exitBad, fmt.Errorf("drill %d (%s, seed %d): %w", n+1, name, o.seed, err)}
		}
		if err != nil {
			return fmt.Errorf("drill %d (%s, seed %d): %w", n+1, name, o.seed, err)
		}
	}
	_, err = fmt.Fprintf(w, "passed  %s, each with every root compared (%d replicas, about %d MiB)\n", quickPace(o.count, time.Since(began)), o.nodes, o.size)
	return err
}
