package real

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A condition is what is wrong with a directed link. The zero value is nothing.
type condition struct {
	// Drop loses what is sent, and the connection with it once the fault is over. Hold keeps what is sent until it is over.
	// Reset closes connections.
	Drop, Hold, Reset bool
	// Delay is added to each piece, with up to Jitter more, in order.
	Delay, Jitter time.Duration
	// Corrupt is the probability of each piece to have a bit flipped.
	Corrupt float64
	// Rate is the bytes a second; 0 is no limit.
	Rate int
	// Burst and BurstRate are as Rate, and an end after so many bytes, for what is sent in one go without an answer: the stream
	// of a checkpoint. 0 is none.
	Burst, BurstRate int
}

// link is one direction between two replicas. Several faults may lie on it, each with its own condition.
type link struct {
	mu     sync.Mutex
	change *sync.Cond
	lying  map[int]condition // by fault
	struck map[int]uint64
	now    condition
	// epoch counts the times at which a condition went away that connections do not survive.
	epoch  uint64
	random *rand.Rand
	conns  map[*carrier]struct{}
}

func newLink(seed uint64) *link {
	l := &link{lying: map[int]condition{}, struck: map[int]uint64{}, random: rand.New(rand.NewPCG(seed, 0x6c696e6b)), conns: map[*carrier]struct{}{}}
	l.change = sync.NewCond(&l.mu)
	return l
}

// set lays a condition on the link.
func (l *link) set(fault int, c condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lying[fault] = c
	l.combine()
	if l.now.Reset {
		l.cutAll()
		if len(l.conns) > 0 {
			l.struck[fault]++
		}
	}
	l.change.Broadcast()
}

// clear takes it away and says how often it had an effect.
func (l *link) clear(fault int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lying[fault].Drop {
		l.epoch++
	}
	delete(l.lying, fault)
	l.combine()
	l.change.Broadcast()
	return l.struck[fault]
}

// combine makes one condition of all: the worst of each.
func (l *link) combine() {
	var now condition
	least := func(a, b int) int {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	for _, c := range l.lying {
		now.Drop, now.Hold, now.Reset = now.Drop || c.Drop, now.Hold || c.Hold, now.Reset || c.Reset
		now.Delay, now.Jitter = now.Delay+c.Delay, now.Jitter+c.Jitter
		now.Corrupt = max(now.Corrupt, c.Corrupt)
		now.Rate, now.Burst, now.BurstRate = least(now.Rate, c.Rate), least(now.Burst, c.Burst), least(now.BurstRate, c.BurstRate)
	}
	l.now = now
}

// cutAll closes the link's connections.
func (l *link) cutAll() {
	for c := range l.conns {
		c.cut()
	}
}

// verdict is what happens to one piece of a connection's bytes.
type verdict struct {
	lost bool
	due  time.Time
	flip int // the bit to flip, -1 for none
}

// burstFree is how much may go in one go before it counts as a checkpoint's stream.
const burstFree = 16 << 10

// judge decides on a piece of so many bytes; burst is how many went before it without an answer. It waits while the link holds.
// ok is false when the connection must end.
func (l *link) judge(c *carrier, bytes, burst int) (v verdict, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.flip = -1
	for l.now.Hold && !l.now.Drop && !l.now.Reset && !c.over() {
		l.note(func(c condition) bool { return c.Hold })
		l.change.Wait()
	}
	now := l.now
	switch {
	case c.over():
		return v, false
	case now.Reset:
		l.note(func(c condition) bool { return c.Reset })
		return v, false
	case now.Drop:
		l.note(func(c condition) bool { return c.Drop })
		v.lost = true
		return v, true
	case now.Burst > 0 && burst > burstFree+now.Burst:
		l.note(func(c condition) bool { return c.Burst > 0 })
		return v, false
	}
	v.due = time.Now()
	if now.Delay+now.Jitter > 0 {
		l.note(func(c condition) bool { return c.Delay+c.Jitter > 0 })
		v.due = v.due.Add(now.Delay + time.Duration(l.random.Float64()*float64(now.Jitter)))
	}
	if now.Corrupt > 0 && l.random.Float64() < now.Corrupt {
		l.note(func(c condition) bool { return c.Corrupt > 0 })
		v.flip = l.random.IntN(bytes * 8)
	}
	return v, true
}

// pace is how long a piece of so many bytes takes.
func (l *link) pace(bytes, burst int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate := l.now.Rate
	if rate > 0 {
		l.note(func(c condition) bool { return c.Rate > 0 })
	}
	if r := l.now.BurstRate; r > 0 && burst > burstFree && (rate == 0 || r < rate) {
		l.note(func(c condition) bool { return c.BurstRate > 0 })
		rate = r
	}
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
}

// note counts an effect of the faults that have it.
func (l *link) note(has func(condition) bool) {
	for fault, c := range l.lying {
		if has(c) {
			l.struck[fault]++
		}
	}
}

// join puts a connection on the link; false means that the link takes none.
func (l *link) join(c *carrier) (epoch uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.Reset {
		l.note(func(c condition) bool { return c.Reset })
		return 0, false
	}
	l.conns[c] = struct{}{}
	return l.epoch, true
}

func (l *link) leave(c *carrier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// wait waits until the epoch is over, for connections that have lost something, or the connection ends.
func (l *link) wait(c *carrier, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.epoch == epoch && !c.over() {
		l.change.Wait()
	}
}

// wake lets everybody look again.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change.Broadcast()
}
