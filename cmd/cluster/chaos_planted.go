package main

import (
	"context"
	"errors"
	"fmt"

	"lockstep/chaos/sim/plant"
)

// runPlanted plants bugs, one after the other, and tells which check has found each and how fast. With --real there is one: a replica
// that is given another message than the others.
func (o *chaosOptions) runPlanted(ctx context.Context, out *chaosOutput) error {
	if o.real {
		return o.plantReal(ctx, out)
	}
	pool, done, err := o.simPool()
	if err != nil {
		return &exitError{exitFault, err}
	}
	pool.Parallel = 1
	missed, tried := 0, 0
	all := plant.All()
	for _, p := range all {
		caught, runErr := plant.Run(ctx, pool, p)
		if ctx.Err() != nil {
			break
		}
		if tried++; runErr != nil {
			err = fmt.Errorf("%s: %w", p.Name, runErr)
			break
		}
		if !caught.OK {
			missed++
		}
		out.planted(caught)
	}
	if err := errors.Join(err, done()); err != nil {
		return &exitError{exitFault, err}
	}
	out.say(fmt.Sprintf("%d planted bugs, %d not caught as they must be", tried, missed))
	switch {
	case missed > 0:
		return &exitError{exitBad, nil}
	case tried < len(all):
		return o.undecided(out, "after %d of %d", tried, len(all))
	}
	return nil
}

// planted prints what became of a planted bug.
func (t *chaosOutput) planted(c plant.Caught) {
	if t.json {
		t.object("planted", map[string]any{"name": c.Name, "doc": c.Doc, "by": c.By, "others": c.Others, "ok": c.OK, "seeds": c.Seeds,
			"took_ns": c.Took, "cpu_ns": c.CPU})
		return
	}
	t.say(c.String())
}
