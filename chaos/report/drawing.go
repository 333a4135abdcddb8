package report

// drawing is the data of the page's script. Times are seconds, nodes are from 0.
type drawing struct {
	End     float64    `json:"end"`
	Step    float64    `json:"step"`
	Healed  float64    `json:"healed"` // -1: never
	Nodes   []lane     `json:"nodes"`
	Faults  []band     `json:"faults"`
	Left    int        `json:"left"`  // how many earlier faults are left out
	Calls   [3][]int   `json:"calls"` // ok, refused, unknown, a bin each
	Latency [2][]int64 `json:"latency"`
	Strip   []int      `json:"strip"` // a bin each: 0 no round, 1 one replica only, 2 compared, 3 differs
	Newest  uint64     `json:"newest"`
	Marked  float64    `json:"marked"` // lanes show events from this moment on; 0: all of them
	// Problems are the violations, the one that was found first before the others.
	Problems []problem `json:"problems"`
}

// lane is one replica.
type lane struct {
	Roles  []span   `json:"roles"`
	Rounds []uint64 `json:"rounds"` // the applied round at the end of each bin
	Points []point  `json:"points"`
}

// span is a time in which a replica was something: up as follower, leader, …, or down.
type span struct {
	From float64 `json:"a"`
	To   float64 `json:"b"`
	Is   string  `json:"is"`
	Term uint64  `json:"t,omitempty"`
}

// point is an event on a lane.
type point struct {
	At   float64 `json:"x"`
	Kind string  `json:"k"`
	Text string  `json:"s"`
}

// band is a fault. One that is still going on when the history ends is Open: how often it struck is not known.
type band struct {
	From   float64 `json:"a"`
	To     float64 `json:"b"`
	Fault  uint32  `json:"n"`
	Text   string  `json:"s"`
	Struck uint64  `json:"hit"`
	Open   bool    `json:"open,omitempty"`
}

// problem is a violation.
type problem struct {
	At      float64 `json:"x"`
	Checker string  `json:"k"`
	Text    string  `json:"s"`
}
