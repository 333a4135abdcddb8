package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lockstep/chaos/sim"
	"lockstep/chaos/sim/plant"
)

// planting counts the bugs that were planted.
type planting struct {
	*chaosOptions
	out                *chaosOutput
	all, tried, missed int
}

// runPlanted plants bugs, as many at a time as --jobs says, and tells which check has found each and how fast. With --real there is one: a
// replica that is given another message than the others.
func (o *chaosOptions) runPlanted(ctx context.Context, out *chaosOutput) error {
	if o.real {
		return o.plantReal(ctx, out)
	}
	pool, done, err := o.simPool()
	if err != nil {
		return &exitError{exitFault, err}
	}
	all := plant.All()
	p := planting{o, out, len(all), 0, 0}
	err = plantAll(ctx, pool, all, p.tell)
	if err := errors.Join(err, done()); err != nil {
		return &exitError{exitFault, err}
	}
	return p.end()
}

// plantAll plants bugs, as many at a time as the pool runs, and tells what became of each in their order. It ends early when ctx does, and at
// a bug that cannot be planted.
func plantAll(ctx context.Context, pool *sim.Pool, all []plant.Plant, tell func(plant.Caught)) error {
	inner, cancel := context.WithCancel(ctx)
	var runs sync.WaitGroup
	defer runs.Wait()
	defer cancel()
	type outcome struct {
		caught plant.Caught
		err    error
	}
	outcomes := make([]chan outcome, len(all))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	next := make(chan int)
	for range max(pool.Parallel, 1) {
		runs.Go(func() {
			for i := range next {
				caught, err := plant.Run(inner, pool, all[i])
				outcomes[i] <- outcome{caught, err}
			}
		})
	}
	runs.Go(func() {
		defer close(next)
		for i := range all {
			next <- i
		}
	})
	for i := range all {
		o := <-outcomes[i]
		if ctx.Err() != nil { // by then some have been ended on the way
			return nil
		}
		if o.err != nil {
			return fmt.Errorf("%s: %w", all[i].Name, o.err)
		}
		tell(o.caught)
	}
	return nil
}

// tell prints what became of a planted bug.
func (p *planting) tell(c plant.Caught) {
	if p.tried++; !c.OK {
		p.missed++
	}
	if !p.out.json {
		p.out.say(c.String())
		return
	}
	p.out.object("planted", map[string]any{"name": c.Name, "doc": c.Doc, "by": c.By, "others": c.Others, "ok": c.OK, "seeds": c.Seeds,
		"took_ns": c.Took, "cpu_ns": c.CPU})
}

// end prints how many there were and gives the error to exit with.
func (p *planting) end() error {
	if p.out.json {
		p.out.object("planted-summary", map[string]any{"bugs": p.all, "tried": p.tried, "missed": p.missed})
	} else {
		p.out.say(fmt.Sprintf("%d planted bugs, %d not caught as they must be", p.tried, p.missed))
	}
	switch {
	case p.missed > 0:
		return &exitError{exitBad, nil}
	case p.tried < p.all:
		return p.undecided(p.out, "after %d of %d planted bugs", p.tried, p.all)
	}
	return nil
}
