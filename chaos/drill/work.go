package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
)

// fill gives the cluster its size.
func (r *rig) fill() error {
	return r.grow(0, r.sizeMiB())
}

// grow writes the memory's pages from one MiB to another.
func (r *rig) grow(from, to int) error {
	const pages = 256 // 1 MiB
	for i := from; i < to; i++ {
		if err := r.update("memory", "sequential", fmt.Sprintf("pages=%d at=%d seed=%d bytes=4096", pages, i*pages, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) sizeMiB() int { return max(r.cfg.SizeMiB, 1) }

// update sends one update; one of unknown outcome counts as sent.
func (r *rig) update(canister, method, arg string) error {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	_, err := r.client.Update(ctx, canister, method, []byte(arg))
	var call *node.CallError
	if errors.As(err, &call) && call.Outcome == node.OutcomeUnknown {
		return nil
	}
	if err != nil {
		return undecided("the cluster takes no messages: %v", err)
	}
	return nil
}

// work sends n updates from a few clients.
func (r *rig) work(n int) error {
	const clients = 4
	keys := r.draw(n)
	var group sync.WaitGroup
	errs := make([]error, clients)
	for c := range clients {
		group.Go(func() {
			for i := c; i < n && errs[c] == nil; i += clients {
				if i%8 == 7 {
					errs[c] = r.update("memory", "random", fmt.Sprintf("pages=64 area=%d seed=%d", 256*r.sizeMiB(), keys[i]))
				} else {
					errs[c] = r.update("kv", "put", fmt.Sprintf("k%d=%d", keys[i], i))
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// draw gives random numbers below 1000. Work may go on beside a drill's own choices.
func (r *rig) draw(n int) []int {
	r.drawing.Lock()
	defer r.drawing.Unlock()
	out := make([]int, n)
	for i := range out {
		out[i] = r.random.IntN(1000)
	}
	return out
}

// status asks a replica; ok is false while it does not answer.
func (r *rig) status(i int) (s node.StatusReport, ok bool) {
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	s, err := r.client.Status(ctx, r.members()[i].HTTP)
	return s, err == nil
}

// leader waits for a leader.
func (r *rig) leader() (int, error) {
	found := -1
	err := r.wait("a leader", func() bool {
		for i, p := range r.processes {
			if p == nil {
				continue
			}
			if s, ok := r.status(i); ok && s.Role == "leader" && s.Raft.Commit > 0 {
				found = i
				return true
			}
		}
		return r.died() != nil
	})
	return found, errors.Join(err, r.died())
}

// leaderElsewhere waits for a leader that is not one of some replicas: those are restarted while they lead.
func (r *rig) leaderElsewhere(not ...int) (int, error) {
	for range 20 {
		leader, err := r.leader()
		if err != nil {
			return 0, err
		}
		unwanted := false
		for _, n := range not {
			unwanted = unwanted || n == leader
		}
		if !unwanted {
			return leader, nil
		}
		if err := r.end(syscall.SIGTERM, leader); err != nil {
			return 0, err
		}
		if _, err := r.leader(); err != nil {
			return 0, err
		}
		if err := r.start(leader); err != nil {
			return 0, err
		}
		if err := r.wait("the old leader's return", func() bool { _, ok := r.status(leader); return ok }); err != nil {
			return 0, err
		}
	}
	return 0, undecided("leadership returned to the same replica 20 times")
}

// collect writes down the roots that a replica reports, and compares them with what others reported.
func (r *rig) collect(i int) error {
	if r.processes[i] == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	for from := uint64(1); ; {
		report, err := r.client.Roots(ctx, r.members()[i].HTTP, from, 4096)
		if err != nil || len(report.Roots) == 0 {
			return nil // one that is down reports nothing; agree asks those that must answer
		}
		for _, line := range report.Roots {
			from = line.Round + 1
			root, err := pagetrie.ParseHash(line.Root)
			if err != nil {
				return err
			}
			round := fsm.RoundNumber(line.Round)
			if known, ok := r.roots[round]; ok && known != root && round > 0 {
				return violation("round %d: %s has root %s, it was %s before or elsewhere", round, r.members()[i].ID, root, known)
			}
			r.roots[round], r.newest = root, max(r.newest, round)
			r.result.Compared.Reported++
		}
	}
}

// agree waits until all replicas run and are at one round with one root, not before the newest round that any of them ever
// reported, and compares all roots that they report.
func (r *rig) agree() error {
	var last []node.StatusReport
	err := r.wait("all replicas at one round", func() bool {
		last = r.statuses()
		return r.died() != nil || len(last) == len(r.members()) && (settled(last) && last[0].Round >= uint64(r.newest) || diverged(last) != nil)
	})
	if died := r.died(); died != nil {
		return died
	}
	if err != nil && len(last) == len(r.members()) && settled(last) {
		return violation("all replicas are at round %d, but one reported round %d before: what was acknowledged is lost", last[0].Round, r.newest)
	}
	if err != nil {
		return err
	}
	if s := diverged(last); s != nil {
		return violation("%s diverged at round %d: %s", s.Node, s.Round, s.Reason)
	}
	for i, s := range last {
		if s.Root != last[0].Root {
			return violation("%s has root %s after round %d, %s has %s", s.Node, s.Root, s.Round, last[0].Node, last[0].Root)
		}
		if err := r.collect(i); err != nil {
			return err
		}
	}
	c := &r.result.Compared
	c.Replicas, c.Round, c.Root, c.Rounds = len(last), last[0].Round, last[0].Root, uint64(len(r.roots))
	return nil
}

// died is a violation if a replica ended that nobody ended.
func (r *rig) died() error {
	for i, p := range r.processes {
		if p != nil && !p.running() {
			return violation("%s ended by itself: %v: %s", r.members()[i].ID, p.cmd.ProcessState, r.lastWords(i))
		}
	}
	return nil
}

// statuses are those of the replicas that answer.
func (r *rig) statuses() (all []node.StatusReport) {
	for i, p := range r.processes {
		if p == nil {
			continue
		}
		if s, ok := r.status(i); ok {
			all = append(all, s)
		}
	}
	return all
}

// settled reports whether replicas run at one round.
func settled(all []node.StatusReport) bool {
	for _, s := range all {
		if s.State != node.StateRunning || s.Round != all[0].Round || s.Joining {
			return false
		}
	}
	return true
}

func diverged(all []node.StatusReport) *node.StatusReport {
	for i := range all {
		if all[i].State == node.StateDiverged {
			return &all[i]
		}
	}
	return nil
}

// prove stops the cluster and repeats the archive's log from its start, on a plain machine.
func (r *rig) prove() error {
	if err := r.end(syscall.SIGTERM, r.all()...); err != nil {
		return err
	}
	report, err := r.replayArchive(r.origin, 0)
	if err != nil {
		return err
	}
	c := &r.result.Compared
	if f := report.Finding; f != nil {
		return violation("an undisturbed replay gives another root of round %d: %s, expected %s (%s)", f.Round, f.Got, f.Want, f.Says)
	}
	if report.Root.String() != c.Root {
		return violation("an undisturbed replay ends at round %d with root %s, the replicas had %s at round %d", report.Round, report.Root, c.Root, c.Round)
	}
	if report.Known == 0 {
		return undecided("no replica has reported a root of a round that the replay repeats")
	}
	c.From, c.Replayed, c.Known, c.Attested, c.Checkpoints = startName(report.From), report.Rounds, report.Known, report.Attested, 0
	for _, checkpoint := range report.Checkpoints {
		if checkpoint.Compared {
			c.Checkpoints++
		}
	}
	return nil
}

// startName is the start of a replay in a few words.
func startName(from string) string {
	if from == replay.FromEmpty {
		return "the empty state"
	}
	return "the checkpoint that it began with"
}

// replayArchive repeats the archive's log.
func (r *rig) replayArchive(from string, to fsm.RoundNumber) (replay.Report, error) {
	folder, err := replay.OpenFolder(r.dir(archive))
	if err != nil {
		return replay.Report{}, err
	}
	report, err := replay.Replay(r.ctx, replay.Config{Log: folder.Log, Checkpoints: folder.Checkpoints, From: from, To: to,
		Options: replay.Options{Tracker: "compare", Workers: 1}, Scratch: r.folder.Path,
		Known: func(round fsm.RoundNumber) (pagetrie.Hash, bool) { root, ok := r.roots[round]; return root, ok }})
	return report, errors.Join(err, folder.Close())
}
