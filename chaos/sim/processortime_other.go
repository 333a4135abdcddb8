//go:build !unix

package sim

import "time"

// processorTime is the time that went by: a program has a processor for itself here, and cannot ask how it used it.
func processorTime() time.Duration { return wallTime() }
