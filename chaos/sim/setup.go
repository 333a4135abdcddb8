package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
)

// setUp waits until the cluster has applied a round, before which its replicas have nothing that they could lose, and installs the canisters.
func (c *cluster) setUp() bool {
	err := c.firstRound()
	for _, m := range c.work.modules {
		if err == nil {
			err = c.install(m)
		}
	}
	if err != nil {
		c.fail(err)
	}
	return err == nil
}

// firstRound has a round applied where no canister's installation does.
func (c *cluster) firstRound() error {
	if len(c.work.modules) > 0 {
		return nil
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := c.call(max(c.leaderNow(), 1), func(ctx context.Context, p process) (node.Answer, error) {
			return p.Submit(ctx, fsm.Message{Kind: fsm.KindOpenSession})
		})
		switch {
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("no leader after a minute: %w", err)
		case !sleep(50*time.Millisecond, c.failed):
			return errors.New("the run ended")
		}
	}
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
		case err == nil && (a.Status == fsm.StatusReplied || a.Status == fsm.StatusRefused && strings.Contains(a.Text, "there is a canister")):
			if err := c.limit(m.Name, deadline); err != nil {
				return fmt.Errorf("canister %s: %w", m.Name, err)
			}
			return nil
		case err == nil:
			return m.NotInstalled(a.Status, a.Text)
		case time.Now().After(deadline):
			c.mu.Lock()
			defer c.mu.Unlock()
			return fmt.Errorf("install canister %s: no leader after a minute: %w", m.Name, joinErrors(err, c.noStart))
		}
		if !sleep(50*time.Millisecond, c.failed) {
			return errors.New("the run ended")
		}
	}
}
