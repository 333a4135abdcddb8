package memstore

import (
	"errors"
	"math/bits"
	"runtime"
	"slices"
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
// Every page that is not armed is open: hot pages one by one, dense chunks of 2 MiB whole. Open pages take no fault and
// are compared after every message, which costs a tenth of a fault.
//
// The proof by counting rests on this: the guest runs on the thread that called Begin; every page that is not open is
// armed; the first write to an armed page is one fault of the thread, and no fault opens two pages. It is audited by a
// full walk after the first messages and ever more rarely later.
//
// The faults' addresses also say in which line a page was written first; comparisons look there first.
type adaptive struct {
	m      *Memory
	warm   bool
	rent   time.Duration // what being cold has cost
	cow    copying
	ahead  *ahead // while cold; nil where nothing can be brought in
	own    []run  // while cold: the pages that the last walk found written
	walked bool   // own is of the mapping as it is
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
		ahead: aheadLimits{unit: chunkPages, period: 32, steps: 2, most: 4, total: 512},
	}
}

// kind is what is known about messages that were begun alike.
type kind struct {
	last  []uint32 // pages found written by the last one, and the hot ones that change; ascending; empty for too many
	count int      // how many were found
	same  bool     // most of them were those of the message before
	once  bitset   // chunks that the last one wrote densely
	dense bitset   // chunks to be open while one runs
}

// hotPage is an open page and for how many messages it has not changed.
type hotPage struct {
	page uint32
	idle uint8
}

// maxKinds bounds the memory for prediction; with more kinds it starts afresh.
const maxKinds = 64

func newAdaptive(m *Memory) tracker {
	return &adaptive{m: m, limits: defaultLimits(), kinds: map[uint64]*kind{}, audits: 2}
}

func (t *adaptive) chunks() int { return int(t.m.reserved+chunkPages-1) / chunkPages }

func (t *adaptive) attach() error {
	if _, err := uffd(); err != nil {
		return err
	}
	t.cow = copying{m: t.m, least: 1 << 30}
	t.isHot = newBitset(int(t.m.reserved))
	t.dense = newBitset(t.chunks())
	return t.cow.attach()
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

// watchAhead lets memory be brought in ahead of the guest, while the memory is cold and large enough.
func (t *adaptive) watchAhead() {
	l := t.limits.ahead
	if t.m.tracked < PageCount(l.unit*l.most) {
		return
	}
	if t.ahead == nil {
		t.ahead = newAhead(t.m, l)
	}
	if t.ahead != nil {
		t.ahead.begin(t.m.tracked)
	}
}

// endAhead ends that; its error is one of bringing in.
func (t *adaptive) endAhead() error {
	if t.ahead == nil {
		return nil
	}
	return t.ahead.end(&t.m.stats)
}

func (t *adaptive) freeAhead() {
	if t.ahead != nil {
		t.ahead.free()
		t.ahead = nil
	}
}

// startFaults opens the window in which faults are counted. It encloses the one in which they are sampled: as many
// samples as faults are then all of them.
func (t *adaptive) startFaults() {
	want := t.few(t.kind.count) && t.m.tracked >= t.limits.sampleSize
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
	for _, a := range t.addrs { // the first write was here, so that a difference is likely here
		if a >= base && a < end {
			*t.m.line(uint32((a - base) >> pageShift)) = uint8(a >> lineShift & (pageLines - 1))
		}
	}
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

func (t *adaptive) collect(runs []run) ([]run, error) {
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

// collectCold gives the pages that are the memory's own. Without a fault there are no new ones.
func (t *adaptive) collectCold(runs []run, faults uint64) ([]run, error) {
	audit := t.m.stats.Messages >= t.audits
	if audit {
		t.audits = t.m.stats.Messages * 4
	}
	if faults > 0 || !t.walked || audit {
		start := time.Now()
		before := countPages(t.own)
		own, err := t.cow.collect(t.own[:0])
		if err != nil {
			return nil, err
		}
		if faults == 0 && t.walked && countPages(own) != before {
			return nil, errUnaccounted
		}
		t.own, t.walked = own, true
		t.rent += time.Since(start)
	}
	return append(runs, t.own...), nil
}

// find gives the written pages outside open ones, ascending, and arms them again or makes them hot.
func (t *adaptive) find(found []uint32, faults uint64, known bool) ([]uint32, error) {
	if faults == 0 {
		return found, nil
	}
	if known && t.few(len(t.addrs)) {
		return t.findSampled(found)
	}
	guess, done, err := t.findPredicted(found, faults)
	if done || err != nil {
		return guess, err
	}
	return t.findAll(found)
}

// few says that looking at so many pages one by one is cheaper than a walk over all.
func (t *adaptive) few(pages int) bool { return pages*t.limits.walkPages <= int(t.m.tracked) }

// findSampled looks at the pages where faults were.
func (t *adaptive) findSampled(found []uint32) ([]uint32, error) {
	base, end := t.m.base, t.m.addr(uint32(t.m.tracked))
	for _, a := range t.addrs {
		if a >= base && a < end {
			if p := uint32((a - base) >> pageShift); !t.dense.has(p >> chunkShift) {
				found = append(found, p)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found, t.settle(found)
}

// settle arms written pages again, but for those that the last message of this kind wrote, too: they become hot.
func (t *adaptive) settle(found []uint32) error {
	var again []run
	last := t.kind.last
	if len(last) > 4*len(found)+t.limits.hotShared { // another sort of message: no guess
		last = nil
	}
	for _, p := range found {
		for len(last) > 0 && last[0] < p {
			last = last[1:]
		}
		if len(last) > 0 && last[0] == p && t.heatUp(p) {
			continue
		}
		if n := len(again); n > 0 && p < again[n-1].end+rearmGap && !t.opensBetween(again[n-1].end, p) {
			again[n-1].end = p + 1
		} else {
			again = append(again, run{p, p + 1})
		}
	}
	t.sortHot()
	for _, r := range again {
		if err := t.m.rearm(r); err != nil {
			return err
		}
	}
	return nil
}

// rearmGap is how many pages a walk may pass over for nothing rather than cost another system call.
const rearmGap = 128

// opensBetween says whether a walk over [from, to), a short range, would arm an open page.
func (t *adaptive) opensBetween(from, to uint32) bool {
	if len(t.hot) > 0 {
		for p := from; p < to; p++ {
			if t.isHot.has(p) {
				return true
			}
		}
	}
	return t.nDense > 0 && from < to && (t.dense.has(from>>chunkShift) || t.dense.has((to-1)>>chunkShift))
}

// findPredicted looks at the pages that the last message of this kind wrote, and is done if as many are written as there
// were faults.
func (t *adaptive) findPredicted(found []uint32, faults uint64) (_ []uint32, done bool, err error) {
	last := t.kind.last
	if len(last) == 0 || uint64(len(last)) < faults || !t.few(len(last)) {
		return found, false, nil
	}
	n := len(found)
	var runs []run
	for k := 0; k < len(last); {
		first := last[k]
		for k++; k < len(last) && last[k] < last[k-1]+rearmGap; k++ {
		}
		if runs, err = t.m.scan(runs, run{first, last[k-1] + 1}, queryWritten); err != nil {
			return found, false, err
		}
	}
	for _, r := range runs {
		for p := r.start; p < r.end; p++ {
			if !t.isOpen(p) {
				found = append(found, p)
			}
		}
	}
	if uint64(len(found)-n) != faults {
		return found[:n], false, nil
	}
	return found, true, t.settle(found)
}

func (t *adaptive) isOpen(p uint32) bool {
	return t.dense.has(p>>chunkShift) || t.isHot.has(p)
}

// findAll walks everything but dense chunks. Hot pages are found, too; where messages of this kind write the same pages
// again and again, those become the new hot ones, else every page is armed.
func (t *adaptive) findAll(found []uint32) ([]uint32, error) {
	t.m.stats.FullScans++
	t.coolAll()
	query := queryRearm
	if t.kind.same {
		query = queryWritten
	}
	var runs []run
	err := t.closedRanges(func(r run) (err error) {
		runs, err = t.m.scan(runs, r, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		for p := r.start; p < r.end; p++ {
			found = append(found, p)
		}
	}
	if t.kind.same {
		err = t.settle(found)
	}
	return found, err
}

// closedRanges calls f with the ranges between dense chunks.
func (t *adaptive) closedRanges(f func(run) error) error {
	end := uint32(t.m.tracked)
	start := uint32(0)
	for w, x := range t.dense {
		for ; x != 0; x &= x - 1 {
			c := uint32(w<<6 + bits.TrailingZeros64(x))
			if err := f(run{start, max(start, min(c<<chunkShift, end))}); err != nil {
				return err
			}
			start = min((c+1)<<chunkShift, end)
		}
	}
	return f(run{start, end})
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
	return t.closedRanges(func(r run) error {
		runs, err := t.m.scan(nil, r, queryWritten)
		if err != nil {
			return err
		}
		for _, w := range runs {
			for p := w.start; p < w.end; p++ {
				if !t.isOpen(p) {
					return errUnaccounted
				}
			}
		}
		return nil
	})
}

// join makes candidates of found, hot and dense pages.
func (t *adaptive) join(runs []run, found []uint32) []run {
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
