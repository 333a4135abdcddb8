package sim

import (
	"syscall"
	"time"
)

// realClock measures time outside the bubble, where time.Now does not lead: the system's clock and the processor time of this
// process.
type realClock struct{ wall, cpu time.Duration }

func startRealClock() realClock {
	return realClock{wall: wallTime(), cpu: processorTime()}
}

// taken is what has gone by.
func (r realClock) taken() (wall, cpu time.Duration) {
	return wallTime() - r.wall, processorTime() - r.cpu
}

func wallTime() time.Duration {
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil {
		return 0 // it never fails on Linux
	}
	return time.Duration(tv.Nano())
}
