package snapshot

import (
	"runtime"
	"time"

	"lockstep/pagetrie"
)

// besideNice is the niceness of a thread that writes or merges checkpoints, see setpriority(2): a round that wants a processor gets
// it from that thread at once, and not when the scheduler's slice of some milliseconds is over.
const besideNice = 15

// beside runs f on a thread of its own with a low priority, and waits for it. The thread ends with f. What f reads of a stored map or
// of a mapped page and is not what was stored, is its error.
func beside[T any](f func() (T, error)) (out T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the runtime ends the thread with the goroutine
		yieldToOthers()
		defer pagetrie.CatchUnreadable(&err) // no caller could on this goroutine
		out, err = f()
	}()
	<-done
	return out, err
}

// restAfter is how long a goroutine that hashes or copies pages works before it lets others run: rounds, which may have to wait
// for a processor otherwise until the scheduler takes it away, 10 ms later. It is a time and not a number of pages because
// on a thread of its own a goroutine pays for it with two switches of threads.
const restAfter = 250 * time.Microsecond

// rest remembers when one goroutine last let others run. Its zero value is usable.
type rest struct{ since time.Time }

// take lets others run if it is time to.
func (r *rest) take() {
	now := time.Now()
	if r.since.IsZero() {
		r.since = now
	}
	if now.Sub(r.since) >= restAfter {
		runtime.Gosched()
		r.since = time.Now()
	}
}
