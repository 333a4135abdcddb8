package plant

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/sim"
)

// shrunkSlice is what an ordinary test shrinks: a defect that liveness finds, and one that others find. shrunkAll is every bare plant and some of
// the others.
const (
	shrunkSlice = "raft-store-error-wedge checkpoint-without-globals"
	shrunkAll   = "canary missed-write checkpoint-without-globals no-folder-sync ack-before-durable vote-not-kept stale-read money-lost"
)

// What is left of a plan that provokes a bug fails because of the bug: without it, it agrees. LOCKSTEP_PLANTS is as in TestPlants.
func TestShrunkPlansAgreeWithoutTheBug(t *testing.T) {
	wanted := os.Getenv("LOCKSTEP_PLANTS")
	if wanted == "" {
		wanted = shrunkSlice
	}
	pool := testPool(t)
	for _, p := range All() {
		if !slices.Contains(strings.Fields(wanted), p.Name) && (wanted != "all" || !p.Bare && !slices.Contains(strings.Fields(shrunkAll), p.Name)) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			shrunk := shrink(t, pool, p)
			for range 3 {
				o := pool.Run(t.Context(), sim.Job{Plan: shrunk.Plan})
				if o.Result.Verdict.Judgement != check.Agreed {
					t.Fatalf("after %d attempts, without the bug: %.500s %v\n%s", shrunk.Attempts, o.Result.Verdict.Sentence, o.Err, shrunk.Plan)
				}
			}
			t.Logf("%d attempts\n%s", shrunk.Attempts, shrunk.Plan)
		})
	}
}

// shrink looks for the least plan that a bug makes fail as the one that provokes it fails.
func shrink(t *testing.T, pool *sim.Pool, p Plant) plan.Shrunk {
	t.Helper()
	c, err := Run(t.Context(), pool, p)
	if err != nil || !c.OK {
		t.Fatalf("it is not caught: %s, %v", c, err)
	}
	shrunk, err := plan.Shrink(t.Context(), c.Last.Plan, func(ctx context.Context, least *plan.Plan) (bool, error) {
		for range 2 {
			o := pool.Run(ctx, sim.Job{Plan: least, Plant: p.Name})
			if by, others := found(o.Result.Verdict); by == c.By || slices.Contains(others, c.By) {
				return true, nil
			}
		}
		return false, ctx.Err()
	}, plan.ShrinkLimits{})
	if err != nil {
		t.Fatal(err)
	}
	return shrunk
}
