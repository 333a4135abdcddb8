package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
)

// setUp waits for a leader and installs the canisters.
func (c *cluster) setUp() bool {
	for _, m := range c.work.modules {
		if err := c.install(m); err != nil {
			c.fail(fmt.Errorf("install canister %s: %w", m.Name, err))
			return false
		}
	}
	return true
}

// limit sets a canister's limits, if it has any of its own in the plan's workload.
func (c *cluster) limit(canister string, deadline time.Time) error {
	text := workload.Limits(c.plan.Workload.Name, canister)
	for text != "" {
		a, err := c.call(max(c.leaderNow(), 1), func(ctx context.Context, p process) (node.Answer, error) {
			return p.Submit(ctx, fsm.Message{Kind: fsm.KindLimits, Canister: canister, Arg: []byte(text)})
		})
		switch {
		case err == nil && a.Status == fsm.StatusReplied:
			return nil
		case err == nil:
			return fmt.Errorf("set limits: %s", a.Text)
		case time.Now().After(deadline):
			return fmt.Errorf("set limits: %w", err)
		}
		if !sleep(50*time.Millisecond, c.failed) {
			return errors.New("the run ended")
		}
	}
	return nil
}

// install installs a canister, however long that takes.
func (c *cluster) install(m workload.Module) error {
	deadline := time.Now().Add(time.Minute)
	for {
		to := c.leaderNow()
		if to == 0 {
			to = 1
		}
		a, err := c.call(to, func(ctx context.Context, p process) (node.Answer, error) {
			return p.Submit(ctx, fsm.Message{Kind: fsm.KindInstall, Canister: m.Name, Module: m.Wasm, Arg: m.Arg})
		})
		switch {
		case err == nil && a.Status == fsm.StatusRefused && !bytes.Contains([]byte(a.Text), []byte("there is a canister")):
			return errors.New(a.Text)
		case err == nil && a.Status != fsm.StatusTrapped:
			return c.limit(m.Name, deadline)
		case time.Now().After(deadline):
			c.mu.Lock()
			defer c.mu.Unlock()
			return fmt.Errorf("no leader after a minute: %w", joinErrors(err, c.noStart))
		}
		if !sleep(50*time.Millisecond, c.failed) {
			return errors.New("the run ended")
		}
	}
}
