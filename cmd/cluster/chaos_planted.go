package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// runPlanted plants bugs and sees whether they are found.
func (o *chaosOptions) runPlanted(ctx context.Context, _ *cobra.Command, out *chaosOutput) error {
	o.real = true
	dir, err := os.MkdirTemp("", "lockstep-chaos-")
	if err != nil {
		return &exitError{exitFault, err}
	}
	o.seed = 1
	p := o.draw(o.seed)
	p.Faults, p.Allow = nil, plan.Allow{}
	began := time.Now()
	r := o.execute(ctx, out, execution{plan: p, dir: dir, lie: true})
	if err := errors.Join(r.err, os.RemoveAll(dir)); err != nil {
		return &exitError{exitFault, err}
	}
	caught := "not caught"
	for _, f := range r.verdict.Findings {
		if f.State == check.Broken {
			caught = "caught by " + f.Checker
			break
		}
	}
	out.say(fmt.Sprintf("%-24s %-32s %v", "lying-replica", caught, time.Since(began).Round(10*time.Millisecond)))
	if r.verdict.Judgement != check.Violated {
		return &exitError{exitBad, nil}
	}
	return nil
}
