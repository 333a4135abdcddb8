package sim

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// running is a fault that has begun: end ends it and says how often it had an effect.
type running struct {
	end func() uint64
}

// walk takes the plan's steps, each at its time, and waits until the time to run is over. No step waits for a replica: what keeps it
// from answering may be a fault that a later step ends.
func (c *cluster) walk() {
	start := time.Now()
	active := map[int]*running{}
	for _, step := range c.plan.Steps() {
		if !sleep(step.At-time.Since(start), c.failed) {
			return
		}
		f := &c.plan.Faults[step.Fault-1]
		if step.Begin {
			c.mu.Lock()
			c.begun++
			c.mu.Unlock()
			c.record(history.Event{Kind: history.FaultBegin, Fault: uint32(step.Fault), Text: f.String()})
			active[step.Fault] = c.begin(f, step.Fault)
			if f.For > 0 {
				continue
			}
		}
		var hits uint64
		if r := active[step.Fault]; r != nil && r.end != nil {
			hits = r.end()
		}
		delete(active, step.Fault)
		c.record(history.Event{Kind: history.FaultEnd, Fault: uint32(step.Fault), Text: f.String(), Count: hits})
	}
	sleep(c.plan.Time.Run-time.Since(start), c.failed)
}

// resolve gives the replicas of a target now.
func (c *cluster) resolve(t plan.Target, besides []int) []int {
	return t.Resolve(plan.Roles{Replicas: len(c.members), Leader: c.leaderNow(), Besides: besides})
}

// begin starts a fault.
func (c *cluster) begin(f *plan.Fault, number int) *running {
	nodes := c.resolve(f.Nodes, nil)
	switch f.Kind {
	case plan.Delay, plan.Loss, plan.Duplicate, plan.Reorder, plan.SlowLink, plan.CorruptLink, plan.Cut:
		return c.rule(c.linkRule(f, nodes))
	case plan.Partition, plan.Ring, plan.Bridge:
		return c.partition(f, nodes)
	case plan.Swizzle:
		return c.swizzle(f, nodes)
	case plan.DuplicateInstall, plan.TruncatedInstall, plan.SlowInstall:
		return c.rule(c.installRule(f, nodes))
	case plan.StaleInstall:
		return c.staleInstall(f, nodes)
	case plan.DiskError, plan.FsyncError, plan.SlowDisk, plan.HungDisk, plan.FullDisk, plan.LyingDisk:
		return c.disks(f, nodes)
	case plan.Pause:
		return c.pause(nodes)
	case plan.Clock:
		return c.clocks(f, nodes)
	case plan.Transfer:
		return c.transfer(f)
	case plan.Members:
		return c.membership(f, nodes)
	}
	return c.lives(f, nodes, number)
}

// lives begins the faults that end replicas' lives.
func (c *cluster) lives(f *plan.Fault, nodes []int, number int) *running {
	switch f.Kind {
	case plan.Crash, plan.Kill:
		return c.crashes(nodes, f.Left(), number)
	case plan.CrashIn:
		return c.crashIn(f, nodes, number)
	case plan.Restart:
		return c.restart(nodes)
	case plan.Rolling:
		return c.rolling(f)
	case plan.Wipe:
		if f.Variant() == plan.Careful {
			return c.wipeCarefully(nodes)
		}
		return c.wipe(nodes, number)
	case plan.CorruptCkpt:
		return c.corruptCheckpoints(f, nodes, number)
	case plan.CorruptLog:
		return c.corruptLogs(f, nodes, number)
	}
	c.fail(fmt.Errorf("fault %d: kind %s is not simulated", number, f.Kind))
	return nil
}

func (c *cluster) disks(f *plan.Fault, nodes []int) *running {
	rules := map[int]*diskRule{}
	for _, n := range nodes {
		rules[n] = c.members[n-1].faults.add(*f)
	}
	return &running{end: func() (hits uint64) {
		for n, r := range rules {
			hits += c.members[n-1].faults.remove(r)
		}
		return hits
	}}
}

func (c *cluster) crashes(nodes []int, power plan.Power, number int) *running {
	var hits uint64
	for _, n := range nodes {
		m := c.members[n-1]
		m.want(false, true)
		if m.crash(m.current(), power, number) {
			hits++
		}
	}
	return &running{end: func() uint64 {
		c.raise(nodes)
		return hits
	}}
}

// raise starts replicas again.
func (c *cluster) raise(nodes []int) {
	for _, n := range nodes {
		c.members[n-1].want(true, false)
	}
}

func (c *cluster) crashIn(f *plan.Fault, nodes []int, number int) *running {
	var waiting []*armed
	for _, n := range nodes {
		a := &armed{step: f.Variant(), power: f.Left(), after: f.After, fault: number}
		waiting = append(waiting, a)
		c.members[n-1].arm(a)
	}
	return &running{end: func() (hits uint64) {
		for i, n := range nodes {
			if c.members[n-1].disarm(waiting[i]) {
				hits++
			}
		}
		c.raise(nodes)
		return hits
	}}
}

func (c *cluster) restart(nodes []int) *running {
	for _, n := range nodes {
		c.members[n-1].want(false, false)
	}
	return &running{end: func() uint64 {
		c.raise(nodes)
		return uint64(len(nodes))
	}}
}

// rolling restarts the replicas one after the other, each with another's options.
func (c *cluster) rolling(f *plan.Fault) *running {
	var options []plan.Options
	for _, m := range c.members {
		options = append(options, m.optionsNow())
	}
	done := make(chan struct{})
	var hits uint64
	go func() {
		defer close(done)
		for i, m := range c.members {
			m.want(false, false)
			if !sleep(f.Gap, c.failed) {
				return
			}
			m.setOptions(options[(i+f.Shift)%len(options)])
			m.want(true, false)
			hits++
			c.record(history.Event{Kind: history.Mark, Node: uint8(m.number), Text: string(history.MarkOptionsChanged)})
			if !sleep(f.Gap, c.failed) {
				return
			}
		}
	}()
	return &running{end: func() uint64 {
		<-done
		return hits
	}}
}

// wipe takes the power from replicas and then all that they have.
func (c *cluster) wipe(nodes []int, number int) *running {
	for _, n := range nodes {
		m := c.members[n-1]
		m.want(false, true)
		m.crash(m.current(), plan.Kept, number)
	}
	return &running{end: func() uint64 {
		for _, n := range nodes {
			go c.wiped(n) // one that is still on its way down is waited for
		}
		return uint64(len(nodes))
	}}
}

// wipeCarefully stops each replica as soon as the cluster can do without what it has, if that is before the end; then it is wiped.
func (c *cluster) wipeCarefully(nodes []int) *running {
	var hits atomic.Uint64
	ended := make(chan struct{})
	go func() {
		for _, n := range nodes {
			release, ok := c.dispensable(n, ended)
			if !ok {
				return
			}
			c.members[n-1].want(false, false)
			hits.Add(1)
			<-ended
			c.wiped(n)
			release()
		}
	}()
	return &running{end: func() uint64 {
		close(ended)
		return hits.Load()
	}}
}

func (c *cluster) wiped(n int) {
	c.renew(c.members[n-1])
	c.record(history.Event{Kind: history.Mark, Node: uint8(n), Text: string(history.MarkWiped)})
}

// pause makes replicas stand still.
func (c *cluster) pause(nodes []int) *running {
	leader := c.leaderNow()
	began := time.Now()
	for _, n := range nodes {
		c.members[n-1].gate.close()
	}
	return &running{end: func() uint64 {
		for _, n := range nodes {
			c.members[n-1].gate.reopen()
		}
		if slices.Contains(nodes, leader) && time.Since(began) > c.election() {
			c.record(history.Event{Kind: history.Mark, Node: uint8(leader), Text: string(history.MarkPaused)})
		}
		return uint64(len(nodes))
	}}
}

// election is the election timeout.
func (c *cluster) election() time.Duration {
	if e := c.plan.Cluster.Election; e > 0 {
		return e
	}
	return time.Second
}

func (c *cluster) clocks(f *plan.Fault, nodes []int) *running {
	for _, n := range nodes {
		m := c.members[n-1]
		m.mu.Lock()
		if f.Variant() == plan.Drift {
			m.drift = &drifting{from: time.Now(), over: max(f.For, 1), total: f.Skew}
		} else {
			m.skew += f.Skew
		}
		m.mu.Unlock()
	}
	return &running{end: func() uint64 {
		for _, n := range nodes {
			m := c.members[n-1]
			m.mu.Lock()
			if f.Variant() == plan.Drift {
				m.drift = nil
			} else {
				m.skew -= f.Skew
			}
			m.mu.Unlock()
		}
		return uint64(len(nodes))
	}}
}
