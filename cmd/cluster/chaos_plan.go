package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/chaos/plan"
	"lockstep/chaos/real"
	"lockstep/chaos/report"
	"lockstep/chaos/sim/plant"
)

// onePlan gives the plan to run.
func (o *chaosOptions) onePlan(c *cobra.Command) (*plan.Plan, error) {
	if o.planFile == "" {
		for o.seed == 0 {
			o.seed = rand.Uint64() >> 40 // short enough to be typed
		}
		return o.drawOne()
	}
	text, err := readLimited(c, o.planFile, plan.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("--plan: %w", err)
	}
	p, err := plan.Parse(strings.NewReader(string(text)), o.planFile)
	if err != nil {
		return nil, fmt.Errorf("--plan: %w", err)
	}
	o.own.apply(p)
	if !o.sim && !o.real {
		o.real = p.Supports(plan.Sim) != nil
	}
	if o.real {
		err = real.Supports(p)
	} else {
		err = p.Supports(plan.Sim)
	}
	if err != nil {
		return nil, fmt.Errorf("--plan %s: %w", o.planFile, err)
	}
	return p, nil
}

// again is the command that runs the one plan again, whose report is in a folder: what was read from standard input is there.
func (o *chaosOptions) again(dir string) string {
	switch o.planFile {
	case "":
		return o.rerun(o.seed)
	case "-":
		return o.rerunPlan(filepath.Join(dir, report.PlanFile))
	}
	return o.rerunPlan(o.planFile)
}

// rerunPlan is the command that runs the plan in a file.
func (o *chaosOptions) rerunPlan(path string) string {
	return fmt.Sprintf("cluster chaos %s --plan %s", o.layer(), quoteArg(path)) + o.bugs()
}

// bugs are the flags that plant bugs, as a command has them.
func (o *chaosOptions) bugs() string {
	text := ""
	if o.plant != "" {
		text += " --plant " + o.plant
	}
	if o.lie {
		text += " --lie"
	}
	return text + o.own.flags()
}

// drawOne draws the plan of --seed, or gives the one that provokes --plant.
func (o *chaosOptions) drawOne() (*plan.Plan, error) {
	for _, p := range plant.All() {
		if p.Name == o.plant {
			return p.Plan(o.seed)
		}
	}
	return o.draw(o.seed), nil
}

func (o *chaosOptions) layer() string {
	if o.real {
		return "--real"
	}
	return "--sim"
}

// rerun is the command that draws and runs the plan of a seed again.
func (o *chaosOptions) rerun(seed uint64) string {
	text := fmt.Sprintf("cluster chaos %s --seed %d", o.layer(), seed)
	if o.time != 0 {
		text += fmt.Sprintf(" --time %v", o.time)
	}
	if o.nodes != 0 {
		text += fmt.Sprintf(" --nodes %d", o.nodes)
	}
	return text + o.bugs()
}

// draw draws the plan of a seed.
func (o *chaosOptions) draw(seed uint64) *plan.Plan { return o.own.apply(o.drawPlan(seed)) }

func (o *chaosOptions) drawPlan(seed uint64) *plan.Plan {
	shape := plan.Shape{Replicas: o.nodes, Time: plan.Time{Run: o.time}}
	if o.real {
		return drawReal(seed, shape)
	}
	return drawSim(seed, shape)
}
