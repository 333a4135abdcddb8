package sim

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// diskFaults are the faults of one replica's disk that are on, through all its lives.
type diskFaults struct {
	// latency is what an undisturbed write takes.
	latency time.Duration
	mark    func(history.MarkName)

	mu    sync.Mutex
	rng   *rand.Rand
	rules []*diskRule
}

// diskRule is one fault of a disk.
type diskRule struct {
	fault plan.Fault
	// done is closed when the fault ends: what hangs goes on.
	done chan struct{}
	// left counts the operations, or bytes, that still succeed.
	left  int
	fired bool
	hits  uint64
}

func (f *diskFaults) add(p plan.Fault) *diskRule {
	r := &diskRule{fault: p, done: make(chan struct{}), left: p.After}
	if p.Kind == plan.FullDisk {
		r.left = p.Bytes
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
	return r
}

func (f *diskFaults) remove(r *diskRule) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.rules {
		if f.rules[i] == r {
			f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			break
		}
	}
	close(r.done)
	return r.hits
}

var errIO = errors.New("input/output error")

// begin decides an operation: how long it waits, and whether it fails. dead ends the wait. Half of a write's time is left for its sync.
func (f *diskFaults) begin(op plan.Op, size int, dead <-chan struct{}) (rest time.Duration, err error) {
	wait, hung, err := f.decide(op, size)
	if op != plan.OpRead {
		wait += f.latency
		rest = wait / 2
	}
	if hung != nil {
		select {
		case <-hung:
		case <-dead:
			return 0, errDead
		}
	}
	if !sleep(wait-rest, dead) {
		return 0, errDead
	}
	return rest, err
}

// sleep waits; false means that dead came first.
func sleep(d time.Duration, dead <-chan struct{}) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-dead:
			return false
		}
	}
	select {
	case <-dead:
		return false
	default:
		return true
	}
}

func (f *diskFaults) decide(op plan.Op, size int) (wait time.Duration, hung <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		switch r.fault.Kind {
		case plan.SlowDisk:
			r.hits++
			wait += r.fault.Delay + jitter(f.rng, r.fault.Jitter)
		case plan.HungDisk:
			r.hits++
			hung = r.done
		case plan.FullDisk:
			if op == plan.OpRead || op == plan.OpTruncate {
				continue
			}
			if r.left -= size + 32; r.left < 0 {
				r.hits++
				f.mark(history.MarkDiskFull)
				err = errFull
			}
		case plan.DiskError:
			if (r.fault.Op == op || r.fault.Op == plan.OpAppend && op == plan.OpReplace) && f.strikes(r) {
				f.mark(history.MarkDiskFailed)
				err = errIO
			}
		}
	}
	return wait, hung, err
}

// strikes counts a rule's operations down and says whether this one is hit.
func (f *diskFaults) strikes(r *diskRule) bool {
	if r.left > 0 {
		r.left--
		return false
	}
	if r.fault.Variant() == plan.Once && r.fired {
		return false
	}
	r.fired = true
	r.hits++
	return true
}

// sync decides a sync: whether what was written is safe, and whether it says so.
func (f *diskFaults) sync(dead <-chan struct{}) (synced bool, err error) {
	f.mu.Lock()
	synced = true
	for _, r := range f.rules {
		switch r.fault.Kind {
		case plan.LyingDisk:
			r.hits++
			synced = false
		case plan.FsyncError:
			if f.strikes(r) {
				f.mark(history.MarkSyncFailed)
				synced, err = false, errIO
			} else if r.fired && r.fault.Variant() == plan.Dropped {
				synced = false // a later sync succeeds without what the failed one dropped
			}
		}
	}
	f.mu.Unlock()
	select {
	case <-dead:
		return false, errDead
	default:
		return synced, err
	}
}

// file decides an operation of the file layer, which takes no virtual time: the checkpoint store holds locks meanwhile.
func (f *diskFaults) file(size int, sync bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		switch {
		case r.fault.Kind == plan.FullDisk && size > 0:
			if r.left -= size; r.left < 0 {
				r.hits++
				f.mark(history.MarkDiskFull)
				return syscall.ENOSPC
			}
		case r.fault.Kind == plan.DiskError && r.fault.Op == plan.OpCheckpoint && f.strikes(r):
			f.mark(history.MarkDiskFailed)
			return errIO
		case r.fault.Kind == plan.FsyncError && sync && f.strikes(r):
			f.mark(history.MarkSyncFailed)
			return errIO
		}
	}
	return nil
}

// lying reports whether syncs sync nothing.
func (f *diskFaults) lying() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if r.fault.Kind == plan.LyingDisk {
			r.hits++
			return true
		}
	}
	return false
}

// stall waits as long as a slow or hung disk makes an operation wait that nobody holds locks for.
func (f *diskFaults) stall(dead <-chan struct{}) error {
	wait, hung, _ := f.decide(plan.OpCheckpoint+"-wait", 0)
	if hung != nil {
		select {
		case <-hung:
		case <-dead:
			return errDead
		}
	}
	if !sleep(wait, dead) {
		return errDead
	}
	return nil
}

func jitter(r *rand.Rand, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(most)))
}
