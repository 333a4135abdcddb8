package main

import (
	"syscall"
	"time"
)

// processorTime is what this process and those of its children that have ended have used of the processors, 0 if the system does
// not say.
func processorTime() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}

// perMinute is how many a minute there were in a time; 0 in none.
func perMinute(n int, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Minutes()
}
