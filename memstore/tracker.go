package memstore

import (
	"fmt"
	"slices"
	"strings"
)

// Tracker names a mechanism that finds the pages a message wrote. All give the same versions; they differ in cost and
// in what they ask of the kernel.
type Tracker string

const (
	// TrackerNaive protects everything at the start of every message and takes a signal for the first read (copy in) and
	// the first write of each page. It is the baseline. It needs a mapping per scattered page and fails, cleanly, at
	// vm.max_map_count.
	TrackerNaive Tracker = "naive"
	// TrackerPrefetch is naive with three optimisations: checkpoint files mapped instead of copied, the fault's own
	// read/write bit used and queries not tracked, and amortised prefetching by the run of pages beside the fault.
	TrackerPrefetch Tracker = "prefetch"
	// TrackerWholePage marks in 64 KiB Wasm pages, so that what is marked does not depend on the order of faults: what the
	// Internet Computer runs since 2026.
	TrackerWholePage Tracker = "wholepage"
	// TrackerCow takes the pages of a private mapping that the kernel copied at their first write. It asks for nothing but
	// /proc/self/pagemap.
	TrackerCow Tracker = "cow"
	// TrackerUffd has the kernel mark writes (userfaultfd WP_ASYNC) and reads the marks of the whole memory after every
	// message. Linux 6.7.
	TrackerUffd Tracker = "uffd"
	// TrackerAdaptive combines them: cow while a memory is cold; then write marks, of which it reads only those that the
	// thread's page faults point to; pages and chunks that are written again and again are left open and compared.
	TrackerAdaptive Tracker = "adaptive"
	// TrackerAuto is the fastest of the others that the machine allows; Probe says which, and why.
	TrackerAuto Tracker = "auto"
	// TrackerCompare does not track: it compares the whole memory with the last version. The oracle.
	TrackerCompare Tracker = "compare"
)

// variants are naive with one of prefetch's optimisations, so that each one's gain can be measured.
const (
	trackerPrefetchMap   Tracker = "prefetch-map"
	trackerPrefetchQuery Tracker = "prefetch-query"
	trackerPrefetchAhead Tracker = "prefetch-ahead"
)

// Choice is what auto takes on this machine, and why.
type Choice struct {
	Tracker Tracker
	Why     string
	// Facts are what was found, one line each: the kernel, what it allows, what was tried and what came of it.
	Facts []string
}

// trackers in the order in which they are shown.
var trackers = []Tracker{TrackerNaive, TrackerPrefetch, TrackerWholePage, TrackerCow, TrackerUffd, TrackerAdaptive, TrackerCompare,
	trackerPrefetchMap, trackerPrefetchQuery, trackerPrefetchAhead}

// Trackers lists every mechanism by name. ParseTracker takes these and auto.
func Trackers() []Tracker { return slices.Clone(trackers) }

// ParseTracker checks a tracker's name. It does not say whether the kernel allows it; Attach does.
func ParseTracker(name string) (Tracker, error) {
	if t := Tracker(name); t == TrackerAuto || slices.Contains(Trackers(), t) {
		return t, nil
	}
	known := []string{string(TrackerAuto)}
	for _, t := range Trackers() {
		known = append(known, string(t))
	}
	return "", fmt.Errorf("tracker %q: want one of %s", name, strings.Join(known, ", "))
}
