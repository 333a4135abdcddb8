package bench

import (
	"encoding/json"
	"io"
	"time"

	"lockstep/figure"
	"lockstep/memstore"
)

// Result is everything that one run measured. Times are nanoseconds of processor time unless a name says wall.
type Result struct {
	Machine Machine
	Cells   []Cell
	Mixed   []MixedRow
	Stream  []MixedRow // adaptive alone, with its worker; wall time
	Figures []figure.Figure
	Took    time.Duration
}

// Machine is where it was measured.
type Machine struct {
	Kernel, Processor string
	Processors        int
	Probe             memstore.Choice
}

// Cell is one tracker in one place of the matrix, once it is warm.
type Cell struct {
	Call    string // update or query
	Op      string // read, write or read-write
	Pattern string
	Source  string // checkpoint, delta or fresh
	Tracker memstore.Tracker
	Pages   int

	Samples      int
	First        time.Duration // the first message of the cell
	Median       time.Duration
	Low, High    time.Duration // quartiles
	Wall         time.Duration
	Save         time.Duration // copying to the store and the trie, not part of the others
	Counts       Counts        // of the last message
	OverNaive    float64       // naive's median by this one's
	OfUntracked  float64       // this median by untracked's
	OverResident time.Duration // this median less resident's
	Failed       string        `json:",omitempty"`
}

// PerPage is the median in microseconds a touched page.
func (c Cell) PerPage() float64 { return micros(c.Median) / float64(max(c.Pages, 1)) }

// MixedRow is one tracker under the mixed workload. Pass 1 begins with a restored memory, pass 2 repeats the messages.
type MixedRow struct {
	Tracker    memstore.Tracker
	Pass       int
	Messages   int
	Mean, Max  time.Duration
	Longest    string // the job that took Max
	Signals    uint64
	PageFaults uint64
	Background time.Duration // wall time of work between messages in the pass
	BroughtIn  uint64        // pages made private in it
	Jobs       []MixedJob
	Wall       bool          // times are wall time: of Stream
	Pause      time.Duration // after each message, of Stream
	Failed     string        `json:",omitempty"`
}

// MixedJob is one kind of message of the mixed workload under one tracker.
type MixedJob struct {
	Name       string
	Messages   int
	Mean, Max  time.Duration
	Compare    time.Duration // of the longest comparison, part of Max
	PageFaults uint64        // a message
}

// WriteJSON writes the result for machines.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
