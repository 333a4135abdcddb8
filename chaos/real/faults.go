package real

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// strike is one fault on its way.
type strike struct {
	*run
	id    int
	fault *plan.Fault
	nodes []*member
	ctx   context.Context // ends with the fault
	hits  uint64
}

// injectors say how each kind of fault is done: each blocks until the fault is over and leaves nothing behind.
var injectors = map[plan.Kind]func(*strike){
	plan.Delay: (*strike).links, plan.SlowLink: (*strike).links, plan.CorruptLink: (*strike).links, plan.Cut: (*strike).links,
	plan.Partition: (*strike).links, plan.Ring: (*strike).links, plan.Bridge: (*strike).links,
	plan.TruncatedInstall: (*strike).links, plan.SlowInstall: (*strike).links, plan.Swizzle: (*strike).swizzle,
	plan.Kill: (*strike).kill, plan.Restart: (*strike).kill, plan.Rolling: (*strike).rolling, plan.CrashIn: (*strike).disk,
	plan.Pause: (*strike).pause, plan.Starve: (*strike).starve, plan.Transfer: (*strike).transfer,
	plan.DiskError: (*strike).disk, plan.FsyncError: (*strike).disk, plan.SlowDisk: (*strike).disk, plan.HungDisk: (*strike).disk,
	plan.FullDisk:    (*strike).disk,
	plan.CorruptCkpt: (*strike).damage, plan.CorruptLog: (*strike).damage, plan.Wipe: (*strike).wipe,
}

// fault waits for a fault's beginning, injects it and undoes it. ctx ends when the time of faults is over.
func (r *run) fault(ctx context.Context, id int) {
	f := &r.plan.Faults[id-1]
	if !wait(ctx, time.Until(r.start.Add(f.At))) {
		return
	}
	inner, cancel := context.WithDeadline(ctx, r.start.Add(max(f.End(), f.At+time.Millisecond)))
	defer cancel()
	s := &strike{run: r, id: id, fault: f, ctx: inner}
	if f.For == 0 { // momentary: it takes the time that it takes
		s.ctx = ctx
	}
	for _, n := range s.resolve(f.Nodes, nil) {
		s.nodes = append(s.nodes, r.members[n-1])
	}
	r.begun.Add(1)
	r.record(history.Event{Kind: history.FaultBegin, Fault: uint32(id), Text: f.String()})
	injectors[f.Kind](s)
	r.mu.Lock()
	s.hits += r.struck[uint32(id)]
	r.mu.Unlock()
	r.record(history.Event{Kind: history.FaultEnd, Fault: uint32(id), Text: f.String(), Count: s.hits})
	if s.hits > 0 {
		r.track.faultEnded()
	}
}

// wait waits; false means that ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *strike) resolve(t plan.Target, besides []int) []int {
	if t.IsZero() {
		return nil
	}
	return t.Resolve(plan.Roles{Replicas: len(s.members), Leader: s.track.view().leader, Besides: besides})
}

// numbers are those of the replicas that are hit.
func (s *strike) numbers() []int {
	var numbers []int
	for _, m := range s.nodes {
		numbers = append(numbers, m.number)
	}
	return numbers
}

func (s *strike) mark(m history.MarkName, node int) {
	s.record(history.Event{Kind: history.Mark, Text: string(m), Node: uint8(node)})
}

// note records that something could not be done.
func (s *strike) note(node int, err error) {
	if err != nil {
		s.record(history.Event{Kind: history.Note, Node: uint8(node), Fault: uint32(s.id), Text: err.Error()})
	}
}

// links lays a condition on links for the fault's time.
func (s *strike) links() {
	pairs, c := s.pairs(), s.condition()
	s.net.set(s.id, pairs, c)
	if s.fault.Until == plan.Compacted {
		s.untilCompacted()
	} else {
		<-s.ctx.Done()
	}
	s.hits += s.net.clear(s.id, pairs)
	if s.hits == 0 {
		return
	}
	leader := s.track.view().leader
	switch s.fault.Kind {
	case plan.Partition:
		if slices.Contains(s.numbers(), leader) || s.fault.Nodes.Who == plan.Leader || s.fault.Nodes.Who == plan.Minority {
			s.mark(history.MarkPartitionLeader, 0)
		}
	case plan.TruncatedInstall:
		s.mark(history.MarkInstallCut, 0)
	}
}

// untilCompacted waits until the others have cut their logs behind what the nodes have, or the fault is over.
func (s *strike) untilCompacted() {
	s.track.wait(time.Until(s.start.Add(s.fault.End())), s.ctx.Done(), func(v view) bool {
		for _, m := range s.nodes {
			for i, n := range v.nodes {
				if n.up && !slices.Contains(s.numbers(), i+1) && n.first > v.nodes[m.number-1].last+1 {
					return true
				}
			}
		}
		return false
	})
}

// kill ends processes, all at once, and starts them again at the end.
func (s *strike) kill() {
	var hits atomic.Uint64
	var ending sync.WaitGroup
	for _, m := range s.nodes {
		ending.Go(func() {
			if m.hold(s.id, s.fault.Kind == plan.Restart) {
				hits.Add(1)
			}
		})
	}
	ending.Wait()
	s.hits += hits.Load()
	<-s.ctx.Done()
	for _, m := range s.nodes {
		s.note(m.number, m.release())
	}
}

// rolling restarts all replicas one after the other, each with other options.
func (s *strike) rolling() {
	all := s.plan.Replicas
	for i, m := range s.members {
		if i > 0 && !wait(s.ctx, s.fault.Gap) {
			break
		}
		if m.hold(s.id, true) {
			s.hits++
		}
		m.mu.Lock()
		before := m.options
		m.options = all[(i+s.fault.Shift)%len(all)]
		changed := before != m.options
		m.mu.Unlock()
		s.note(m.number, m.release())
		if changed {
			s.mark(history.MarkOptionsChanged, m.number)
		}
	}
	<-s.ctx.Done()
}

// pause stops processes where they stand.
func (s *strike) pause() {
	leader := s.track.view().leader
	for _, m := range s.nodes {
		if m.pause() {
			s.hits++
		}
	}
	<-s.ctx.Done()
	for _, m := range s.nodes {
		m.goOn()
	}
	if slices.Contains(s.numbers(), leader) && s.fault.For > s.election() {
		s.mark(history.MarkPaused, leader)
	}
}

// election is the cluster's election timeout.
func (s *strike) election() time.Duration {
	if e := s.plan.Cluster.Election; e > 0 {
		return e
	}
	return time.Second
}

// starve lets processes run only a share of every tenth of a second.
func (s *strike) starve() {
	const slice = 100 * time.Millisecond
	still := time.Duration(s.fault.Rate * float64(slice))
	for s.ctx.Err() == nil {
		for _, m := range s.nodes {
			if m.pause() {
				s.hits++
			}
		}
		wait(s.ctx, still)
		for _, m := range s.nodes {
			m.goOn()
		}
		wait(s.ctx, slice-still)
	}
}

// transfer tells the leader to hand its leadership to another replica, any one if it is itself the target. The leader's process tells when
// raft has done it.
func (s *strike) transfer() {
	leader := 0
	if !s.track.wait(2*s.election(), s.ctx.Done(), func(v view) bool { leader = v.leader; return leader != 0 }) {
		return
	}
	target := ""
	if to := s.resolve(s.fault.To, nil); len(to) > 0 && to[0] != leader {
		target = name(to[0])
	}
	s.members[leader-1].command("%d transfer %s", s.id, target)
	for until := time.Now().Add(2 * s.election()); !s.struckYet() && time.Now().Before(until) && wait(s.ctx, transferPoll); {
	}
}

// transferPoll is how often is looked whether the leader's process has told of a transfer.
const transferPoll = 10 * time.Millisecond

// struckYet reports whether a replica's process has told that the fault had an effect.
func (s *strike) struckYet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck[uint32(s.id)] > 0
}

// disk breaks disks from inside the replicas' processes.
func (s *strike) disk() {
	command := s.command()
	for _, m := range s.nodes {
		crash := 0
		if s.fault.Kind == plan.CrashIn {
			crash = s.id
		}
		m.mark(crash, true)
		m.command("%d %s", s.id, command)
	}
	<-s.ctx.Done()
	for _, m := range s.nodes {
		m.command("%d end", s.id)
		m.mark(0, true)
		s.note(m.number, m.revive())
	}
}

// command is the fault as a replica's process is told.
func (s *strike) command() string {
	f := s.fault
	switch f.Kind {
	case plan.CrashIn:
		return fmt.Sprintf("crash %s %d", f.Mode, f.After)
	case plan.DiskError:
		return fmt.Sprintf("fail %s %s %d", f.Op, f.Variant(), f.After)
	case plan.FsyncError:
		return fmt.Sprintf("sync %s %d", f.Variant(), f.After)
	case plan.SlowDisk:
		return fmt.Sprintf("slow %d", (f.Delay + f.Jitter/2).Microseconds())
	case plan.HungDisk:
		return "hang"
	}
	return fmt.Sprintf("full %d", f.Bytes)
}

// markInside notes the rare path that a fault is which a replica's process has met.
func (r *run) markInside(m *member, id int) {
	e := history.Event{Kind: history.Mark, Node: uint8(m.number)}
	switch f := &r.plan.Faults[id-1]; f.Kind {
	case plan.DiskError:
		e.Text = string(history.MarkDiskFailed)
	case plan.FsyncError:
		e.Text = string(history.MarkSyncFailed)
	case plan.FullDisk:
		e.Text = string(history.MarkDiskFull)
	case plan.Transfer:
		e.Text = string(history.MarkTransfer)
	case plan.CrashIn:
		if f.Mode != plan.InInstall && f.Mode != plan.InRestore {
			return
		}
		e.Text = string(history.MarkCrashedInInstall)
	default:
		return
	}
	r.record(e)
}
