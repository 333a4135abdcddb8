//go:build cgo

package memstore

import (
	"errors"
	"math/bits"
	"runtime"
	"time"
)

// adaptive makes the cost of a message follow the pages that it dirties.
//
// While a memory is cold nothing is protected and written pages are told by copy-on-write, as copying does. When that has
// cost as much as arming the memory would, it is armed: the kernel then marks written pages, each at the price of one
// page fault of the writing thread. After a message the faults say where to look:
//
//	no fault since Begin                  nothing but open pages can have been written
//	the sampler has every fault's address those pages
//	else, the pages of the last messages  enough, if as many are found written as there were faults
//	of this kind
//	else                                  everything
//
// A cold memory that the guest fills in order is brought in ahead of it; see ahead.
//
// Every page that is not armed is open: hot pages one by one, dense chunks of 2 MiB whole. Open pages take no fault and
// are compared after every message, which costs a tenth of a fault.
//
// The proof by counting rests on this: the guest runs on the thread that called Begin; every page that is not open is
// armed; the first write to an armed page is one fault of the thread, and no fault opens two pages. It is audited by a
// full walk after the first messages and ever more rarely later.
//
// Between messages, pages that were never written are made the memory's own and armed; see copyIn.
//
// The faults' addresses also say in which line a page was written first; comparisons look there first.
type adaptive struct {
	m      *Memory
	warm   bool
	rent   time.Duration // what being cold has cost
	cow    copying
	ahead  *ahead    // while cold; nil where nothing can be brought in
	own    []PageRun // while cold: the pages that the last walk found written
	walked bool      // own is of the mapping as it is
	limits adaptiveLimits

	kinds   map[uint64]*kind
	kind    *kind     // of the running message
	hot     []hotPage // ascending
	isHot   bitset    // the same pages
	hotKind uint64    // of the message that opened the newest
	dense   bitset    // chunks that are open
	nDense  int
	sampler *sampler // of the running message's thread, recording; or nil
	faults  uint64   // of the thread at Begin
	locked  bool
	audits  uint64 // message number of the next audit
	addrs   []uintptr
	pages   []uint32 // faulted pages
	bring   bringer
}

// adaptiveLimits are the tracker's thresholds; tests make them small.
type adaptiveLimits struct {
	armPage     time.Duration // estimated price of arming, a page
	hotPages    int           // open pages outside dense chunks, at most
	hotShared   int           // hot pages up to which messages of other kinds bear them
	hotIdle     uint8         // messages after which an unchanged hot page is armed again
	denseOpen   int           // dirty pages that make a chunk dense
	denseClose  int           // changed pages under which it is dense no longer
	walkPages   int           // pages that a walk passes in the time it takes to look at one page by itself
	sampleSize  PageCount     // memories smaller than this are not worth sampling
	rememberMax int           // dirty pages remembered of a message
	ahead       aheadLimits
}

func defaultLimits() adaptiveLimits {
	return adaptiveLimits{
		armPage: 40 * time.Nanosecond, hotPages: 1 << 17, hotShared: 64, hotIdle: 3, denseOpen: chunkPages / 4, denseClose: chunkPages / 8,
		walkPages: 700, sampleSize: 1024, rememberMax: 1 << 17,
		ahead: aheadLimits{unit: chunkPages, period: 32, steps: 2, total: 512},
	}
}

// kind is what is known about messages that were begun alike.
type kind struct {
	last  []uint32 // pages found written by the last one, and the hot ones that change; ascending; empty for too many
	count int      // how many were found
	same  bool     // most of them were those of the message before
	// astray says that the last one wrote to other lines of its pages than comparisons would have looked at first: for some
	// thousand pages it pays to record the faults only for that, a tenth of a microsecond for each, where searching a page
	// takes three times as much.
	astray bool
	once   bitset // chunks that the last one wrote densely
	dense  bitset // chunks to be open while one runs
}

// hotPage is an open page and for how many messages it has not changed.
type hotPage struct {
	page uint32
	idle uint8
}

// maxKinds bounds the memory for prediction; with more kinds it starts afresh.
const maxKinds = 64

func newAdaptive(m *Memory) Mechanism {
	return &adaptive{m: m, limits: defaultLimits(), kinds: map[uint64]*kind{}, audits: 2}
}

func (t *adaptive) chunks() int { return int(t.m.reserved+chunkPages-1) / chunkPages }

func (t *adaptive) Attach() error {
	if _, err := uffd(); err != nil {
		return err
	}
	t.cow = copying{m: t.m, least: 1 << 30}
	t.isHot = newBitset(int(t.m.reserved))
	t.dense = newBitset(t.chunks())
	return t.cow.Attach()
}

func (t *adaptive) begin() error {
	t.kind = t.kinds[t.m.kind]
	if t.kind == nil {
		if len(t.kinds) >= maxKinds {
			clear(t.kinds)
		}
		t.kind = &kind{once: newBitset(t.chunks()), dense: newBitset(t.chunks())}
		t.kinds[t.m.kind] = t.kind
	}
	t.sampler = nil
	runtime.LockOSThread()
	t.locked = true
	if !t.warm {
		t.watchAhead()
		t.faults = threadFaults()
		return nil
	}
	if err := t.setDense(t.kind.dense); err != nil {
		return err
	}
	if len(t.hot) > t.limits.hotShared && t.hotKind != t.m.kind {
		if err := t.closeHot(); err != nil {
			return err
		}
	}
	t.startFaults()
	return nil
}

// startFaults opens the window in which faults are counted. It encloses the one in which they are sampled: as many
// samples as faults are then all of them.
func (t *adaptive) startFaults() {
	want := (t.few(t.kind.count) || t.kind.astray && t.kind.count <= samplerMost) && t.m.tracked >= t.limits.sampleSize
	if s := threadSampler(); s != nil {
		s.turn(want)
		if want {
			t.sampler = s
		}
	}
	t.faults = threadFaults()
	if t.sampler != nil {
		t.sampler.start()
	}
}

// endFaults gives the number of faults since begin, and their addresses in t.addrs if known is true.
func (t *adaptive) endFaults() (n uint64, known bool, err error) {
	err = t.endAhead()
	t.addrs = t.addrs[:0]
	if t.sampler != nil {
		t.addrs, known = t.sampler.read(t.addrs)
	}
	n = threadFaults() - t.faults
	base, end := t.m.base, t.m.addr(uint32(t.m.tracked))
	astray := 0
	for _, a := range t.addrs { // the first write was here, so that a difference is likely here
		if a >= base && a < end {
			line, here := t.m.line(uint32((a-base)>>pageShift)), uint8(a>>lineShift&(pageLines-1))
			if *line != here {
				*line = here
				astray++
			}
		}
	}
	t.kind.astray = mostly(astray, len(t.addrs))
	t.m.stats.Syscalls += 2
	t.m.stats.Faults += n
	t.unlock()
	return n, known && uint64(len(t.addrs)) == n, err
}

func (t *adaptive) unlock() {
	if t.locked {
		_ = t.endAhead()
		runtime.UnlockOSThread()
		t.locked = false
	}
}

func (t *adaptive) Collect(runs []PageRun) ([]PageRun, error) {
	faults, known, err := t.endFaults()
	if err != nil {
		return nil, err
	}
	if !t.warm {
		return t.collectCold(runs, faults)
	}
	found, err := t.find(t.pages[:0], faults, known)
	if err != nil {
		return nil, err
	}
	t.pages = found
	if err := t.audit(found); err != nil {
		return nil, err
	}
	t.remember(found)
	return t.join(runs, found), nil
}

// errUnaccounted breaks a memory whose guest does not run where Begin was called.
var errUnaccounted = errors.New("a page was written that the faults of the thread do not account for: " +
	"the guest must run on the goroutine that calls Begin")

// audit walks everything now and then to see that nothing was missed. found are armed again or hot already.
func (t *adaptive) audit(found []uint32) error {
	if t.m.stats.Messages < t.audits {
		return nil
	}
	t.audits = t.m.stats.Messages * 4
	return t.closedRanges(func(r PageRun) error {
		runs, err := t.m.scan(nil, r, queryWritten)
		if err != nil {
			return err
		}
		for _, w := range runs {
			for p := w.Start; p < w.End; p++ {
				if !t.isOpen(p) {
					return errUnaccounted
				}
			}
		}
		return nil
	})
}

// join makes candidates of found, hot and dense pages.
func (t *adaptive) join(runs []PageRun, found []uint32) []PageRun {
	if len(t.hot) > 0 {
		found = t.withHot(found, false)
	}
	end := uint32(t.m.tracked)
	k := 0
	for w, x := range t.dense {
		for ; x != 0; x &= x - 1 {
			c := uint32(w<<6 + bits.TrailingZeros64(x))
			for ; k < len(found) && found[k] < c<<chunkShift; k++ {
				runs = appendRun(runs, found[k], found[k]+1)
			}
			runs = appendRun(runs, c<<chunkShift, min((c+1)<<chunkShift, end))
		}
	}
	for ; k < len(found); k++ {
		runs = appendRun(runs, found[k], found[k]+1)
	}
	return runs
}
