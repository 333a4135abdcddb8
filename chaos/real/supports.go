package real

import (
	"errors"
	"fmt"
	"time"

	"lockstep/canister"
	"lockstep/chaos/plan"
	"lockstep/memstore"
)

// Supports reports what of a plan can't be done with real processes and without root.
func Supports(p *plan.Plan) error {
	errs := []error{p.Supports(plan.Real)}
	for i := range p.Faults {
		if why := refuses(&p.Faults[i]); why != "" && len(errs) < 10 {
			errs = append(errs, fmt.Errorf("fault %d (%s): %s", i+1, &p.Faults[i], why))
		}
	}
	return errors.Join(errs...)
}

func refuses(f *plan.Fault) string {
	switch {
	case f.Left() != plan.Kept:
		return "a process that is killed loses no writes: power=lost and power=torn need --sim"
	case f.Kind == plan.DiskError && f.Op == plan.OpCheckpoint:
		return "op=checkpoint needs --sim; full-disk hits checkpoints here too"
	case f.Kind == plan.DiskError && f.Op == plan.OpReplace:
		return "op=replace needs --sim; op=append hits such appends too"
	case f.Until == plan.Diverged:
		return "until=diverged needs --sim"
	case f.Kind == plan.CrashIn && f.Mode == plan.InRestore:
		return "mode=restore needs --sim; mode=install is seen here, from the checkpoint's folder"
	}
	return ""
}

// Draw draws a plan that can be run here. Its election timeout is short, so that much happens in little time.
func Draw(seed uint64, s plan.Shape) *plan.Plan {
	s.Layer = plan.Real
	if s.Cluster.Election == 0 {
		s.Cluster.Election = election
	}
	if s.Kinds == nil {
		s.Kinds = plan.Kinds(plan.Real)
	}
	if s.Trackers == nil {
		for _, t := range memstore.Trackers() {
			s.Trackers = append(s.Trackers, string(t))
		}
	}
	if s.Opts == nil {
		s.Opts = []string{string(canister.OptNone), string(canister.OptSpeed), string(canister.OptSpeedAndSize)}
	}
	if s.Dense == 0 {
		s.Dense = dense
	}
	s.Adapt = func(f *plan.Fault) bool {
		f.Power = ""
		return refuses(f) == ""
	}
	return plan.Generate(seed, s)
}

// election is the election timeout of plans that are drawn: several times what a loaded machine takes to answer.
const election = 300 * time.Millisecond

// dense is how many faults a second are to have an effect in plans that are drawn.
const dense = 6
