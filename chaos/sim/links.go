package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// links are directed pairs of replicas.
type links map[[2]int]bool

// pairs are all links from one set to another.
func pairs(from, to []int) links {
	out := links{}
	for _, a := range from {
		for _, b := range to {
			if a != b {
				out[[2]int{a, b}] = true
			}
		}
	}
	return out
}

func (c *cluster) all() []int { return c.resolve(plan.Named(plan.All), nil) }

// rule puts a rule in force until the fault ends.
func (c *cluster) rule(r *rule) *running {
	c.net.add(r)
	return &running{end: func() uint64 { return c.net.remove(r) }}
}

// linkRule is what a fault of links does to a message.
func (c *cluster) linkRule(f *plan.Fault, nodes []int) *rule {
	r := &rule{links: pairs(nodes, c.resolve(f.To, nodes)), rate: f.Rate}
	r.apply = func(rng *rand.Rand, size int, m *fate) {
		switch f.Kind {
		case plan.Delay:
			m.delay += f.Delay + jitter(rng, f.Jitter)
		case plan.Loss:
			m.lost = true
		case plan.Duplicate:
			m.again = time.Microsecond + jitter(rng, max(f.Delay, time.Millisecond))
		case plan.Reorder:
			m.delay += f.Delay
		case plan.SlowLink:
			crawl := max(m.crawl, time.Duration(size)*time.Second/time.Duration(max(f.Bytes, 1)))
			m.delay, m.crawl = m.delay+crawl-m.crawl, crawl
			m.slow = f.Bytes
		case plan.CorruptLink:
			m.corrupt = true
		case plan.Cut:
			m.reset, m.lost = f.Variant() == plan.Reset, f.Variant() != plan.Reset
		}
	}
	return r
}

// installRule is what a fault of checkpoints on their way does.
func (c *cluster) installRule(f *plan.Fault, nodes []int) *rule {
	r := &rule{links: pairs(c.all(), nodes), installs: true}
	r.apply = func(_ *rand.Rand, _ int, m *fate) {
		switch f.Kind {
		case plan.DuplicateInstall:
			m.again = time.Microsecond
		case plan.TruncatedInstall:
			m.limit = f.Bytes
			c.record(history.Event{Kind: history.Mark, Text: string(history.MarkInstallCut)})
		case plan.SlowInstall:
			m.slow = f.Bytes
		}
	}
	return r
}

// partition cuts replicas off from each other; clients reach them all.
func (c *cluster) partition(f *plan.Fault, nodes []int) *running {
	cut := c.cutBy(f, nodes)
	r := &rule{links: cut, apply: func(_ *rand.Rand, _ int, m *fate) {
		m.lost, m.reset = f.Until != plan.Diverged, f.Until == plan.Diverged
	}}
	c.net.add(r)
	if leader := c.leaderNow(); f.Kind == plan.Partition && slices.Contains(nodes, leader) {
		c.record(history.Event{Kind: history.Mark, Node: uint8(leader), Text: string(history.MarkPartitionLeader)})
	}
	switch f.Until {
	case plan.Compacted:
		go c.partedUntil(r, func() bool { return c.compacted(nodes) })
	case plan.Diverged:
		go c.partedUntil(r, func() bool { return c.diverged(nodes) })
	}
	return &running{end: func() uint64 { return c.net.remove(r) }}
}

func (c *cluster) cutBy(f *plan.Fault, nodes []int) links {
	others := c.resolve(plan.Named(plan.Others), nodes)
	n := len(c.members)
	switch f.Kind {
	case plan.Ring:
		cut := pairs(c.all(), c.all())
		for i := 1; i <= n; i++ {
			next := i%n + 1
			delete(cut, [2]int{i, next})
			delete(cut, [2]int{next, i})
		}
		return cut
	case plan.Bridge:
		half := len(others) / 2
		return union(pairs(others[:half], others[half:]), pairs(others[half:], others[:half]))
	}
	switch f.Variant() {
	case plan.In:
		return pairs(others, nodes)
	case plan.Out:
		return pairs(nodes, others)
	}
	return union(pairs(nodes, others), pairs(others, nodes))
}

func union(a, b links) links {
	for l := range b {
		a[l] = true
	}
	return a
}

// partedUntil ends a partition when something holds.
func (c *cluster) partedUntil(r *rule, holds func() bool) {
	for sleep(20*time.Millisecond, c.failed) {
		if !c.net.has(r) {
			return
		}
		if holds() {
			c.net.remove(r)
			return
		}
	}
}

// logs gives the logs of those that run: of some replicas, and of the others.
func (c *cluster) logs(nodes []int) (of, others []image) {
	for _, m := range c.members {
		l := m.current()
		if l == nil {
			continue
		}
		l.disk.mu.Lock()
		log := l.disk.image.clone()
		l.disk.mu.Unlock()
		if slices.Contains(nodes, m.number) {
			of = append(of, log)
		} else {
			others = append(others, log)
		}
	}
	return of, others
}

// compacted reports whether the others have cut their logs behind what the nodes have.
func (c *cluster) compacted(nodes []int) bool {
	var behind, first uint64
	of, others := c.logs(nodes)
	for i := range of {
		behind = max(behind, of[i].last())
	}
	for i := range others {
		first = max(first, others[i].first)
	}
	return first > behind+1
}

// diverged reports whether another replica leads whose log begins with an entry in whose place a node has another one.
func (c *cluster) diverged(nodes []int) bool {
	leader := c.leaderNow()
	if leader == 0 || slices.Contains(nodes, leader) {
		return false
	}
	of, _ := c.logs(nodes)
	leaders, _ := c.logs([]int{leader})
	return slices.ContainsFunc(of, func(own image) bool {
		return slices.ContainsFunc(leaders, func(other image) bool {
			theirs, held := other.at(other.first), own.at(other.first)
			return theirs != nil && held != nil && theirs.Term != held.Term
		})
	})
}

// has reports whether a rule is in force.
func (n *network) has(r *rule) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.rules, r)
}

// swizzle stops the links of replicas one by one and brings them back in another order.
func (c *cluster) swizzle(f *plan.Fault, nodes []int) *running {
	var rules []*rule
	for _, n := range nodes {
		others := c.resolve(plan.Named(plan.Others), []int{n})
		for _, o := range others {
			rules = append(rules, &rule{links: union(pairs([]int{n}, []int{o}), pairs([]int{o}, []int{n})),
				apply: func(_ *rand.Rand, _ int, m *fate) { m.lost = true }})
		}
	}
	order := c.dice.fork().Perm(len(rules))
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for _, r := range rules {
			c.net.add(r)
			if !sleep(f.Gap, stop) {
				return
			}
		}
		for _, i := range order {
			c.net.remove(rules[i])
			if !sleep(f.Gap, stop) {
				return
			}
		}
	}()
	return &running{end: func() (hits uint64) {
		close(stop)
		<-done
		for _, r := range rules {
			hits += c.net.remove(r)
		}
		return hits
	}}
}
