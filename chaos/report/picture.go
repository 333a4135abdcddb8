package report

import (
	"slices"
	"time"

	"lockstep/chaos/history"
)

// bins is how many steps the time of a run is cut into for curves and strips. The page lets people look closer, and thins out
// again for its width.
const bins = 1200

// maxMarks bounds the single events on a lane.
const maxMarks = 4000

// drawing is the data of the page's script. Times are seconds, nodes are from 0.
type drawing struct {
	End     float64    `json:"end"`
	Step    float64    `json:"step"`
	Healed  float64    `json:"healed"` // -1: never
	Nodes   []lane     `json:"nodes"`
	Faults  []band     `json:"faults"`
	Calls   [3][]int   `json:"calls"` // ok, refused, unknown, a bin each
	Latency [2][]int64 `json:"latency"`
	Strip   []int      `json:"strip"` // a bin each: 0 no round, 1 one replica only, 2 compared, 3 differs
	Newest  uint64     `json:"newest"`
	Thinned bool       `json:"thinned"`
	// Problems has the first difference of roots, if there is one.
	Problems []point `json:"problems"`
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

// band is a fault.
type band struct {
	From   float64 `json:"a"`
	To     float64 `json:"b"`
	Fault  uint32  `json:"n"`
	Text   string  `json:"s"`
	Struck uint64  `json:"hit"`
}

// painter makes a drawing of a history in one pass.
type painter struct {
	drawing
	step   time.Duration
	open   []span
	rounds []uint64
	bands  map[uint32]int
	calls  history.Calls
	// latencies are those of the bin that is being filled.
	latencies [][]time.Duration
	seen      map[uint64]*witnessed
	marks     int
	// drawn is the bin of each node's newest checkpoint on its lane.
	drawn []int
}

// witnessed is a round: its first root, by how many replicas, and the bin in which that changed last.
type witnessed struct {
	root  [32]byte
	nodes uint64
	bin   int
	bad   bool
}

// picture makes the drawing.
func picture(l *history.Log) *drawing {
	end := time.Duration(1)
	for i := range l.Events {
		end = max(end, l.Events[i].At)
	}
	n := l.Header.Replicas
	p := &painter{step: end/bins + 1, open: make([]span, n), rounds: make([]uint64, n), drawn: make([]int, n), bands: map[uint32]int{},
		latencies: make([][]time.Duration, bins), seen: map[uint64]*witnessed{}}
	p.End, p.Step, p.Healed = end.Seconds(), p.step.Seconds(), -1
	p.Nodes, p.Faults, p.Problems = make([]lane, n), []band{}, []point{} // the page's script wants lists, also empty ones
	p.Strip = make([]int, bins)
	for i := range p.Nodes {
		p.Nodes[i] = lane{Roles: []span{}, Rounds: make([]uint64, bins), Points: []point{}}
	}
	for i := range p.Calls {
		p.Calls[i] = make([]int, bins)
	}
	for i := range l.Events {
		p.event(&l.Events[i])
	}
	p.finish()
	return &p.drawing
}

func (p *painter) bin(t time.Duration) int { return min(int(t/p.step), bins-1) }

func (p *painter) event(e *history.Event) {
	switch e.Kind {
	case history.FaultBegin:
		p.bands[e.Fault] = len(p.Faults)
		p.Faults = append(p.Faults, band{From: e.At.Seconds(), To: -1, Fault: e.Fault, Text: e.Text})
	case history.FaultEnd:
		if i, ok := p.bands[e.Fault]; ok {
			p.Faults[i].To, p.Faults[i].Struck = e.At.Seconds(), e.Count
		}
	case history.Healed:
		p.Healed = e.At.Seconds()
	case history.Invoked, history.Returned:
		if o := p.calls.Observe(e); o != nil {
			p.returned(o)
		}
	}
	if e.Node != 0 {
		p.node(e, int(e.Node)-1)
	}
}

func (p *painter) returned(o *history.Operation) {
	b := p.bin(o.Return)
	p.Calls[o.Outcome-history.OK][b]++
	if o.Outcome == history.OK {
		p.latencies[b] = append(p.latencies[b], o.Return-o.Invoke)
	}
}

func (p *painter) node(e *history.Event, n int) {
	switch e.Kind {
	case history.Applied:
		p.applied(e, n)
	case history.Started:
		p.rounds[n] = e.Round
		p.is(n, e, "follower")
		p.point(n, e, "start")
	case history.Stopped, history.Crashed, history.Panicked, history.Diverged:
		p.is(n, e, "down")
		p.point(n, e, map[history.Kind]string{history.Panicked: "bad", history.Diverged: "bad"}[e.Kind])
	case history.RoleChanged:
		p.is(n, e, e.Role.String())
	case history.Published:
		if b := p.bin(e.At); p.drawn[n] == 0 || b >= p.drawn[n]+bins/200 { // closer ones cannot be told apart
			p.drawn[n] = b
			p.point(n, e, "checkpoint")
		}
	case history.Installed:
		p.rounds[n] = max(p.rounds[n], e.Round)
		p.point(n, e, "install")
	case history.CheckpointRefused, history.CheckpointUnread, history.InstallFailed, history.Damaged, history.Truncated:
		p.point(n, e, "note")
	case history.Stuck:
		p.point(n, e, "bad")
	}
	p.fill(n, e.At)
}

// fill notes the round at the moment in the bin.
func (p *painter) fill(n int, t time.Duration) { p.Nodes[n].Rounds[p.bin(t)] = p.rounds[n] + 1 }

// is ends what a replica was and begins something else.
func (p *painter) is(n int, e *history.Event, what string) {
	p.close(n, e.At)
	p.open[n] = span{From: e.At.Seconds(), Is: what, Term: e.Term}
}

func (p *painter) close(n int, t time.Duration) {
	s := p.open[n]
	if s.To = t.Seconds(); s.Is != "" && s.To > s.From {
		p.Nodes[n].Roles = append(p.Nodes[n].Roles, s)
	}
}

func (p *painter) point(n int, e *history.Event, kind string) {
	if kind == "" {
		return
	}
	if p.marks++; p.marks > maxMarks && kind != "bad" {
		p.Thinned = true
		return
	}
	p.Nodes[n].Points = append(p.Nodes[n].Points, point{e.At.Seconds(), kind, e.String()})
}

func (p *painter) applied(e *history.Event, n int) {
	p.rounds[n] = e.Round
	p.Newest = max(p.Newest, e.Round)
	w := p.seen[e.Round]
	if w == nil {
		w = &witnessed{root: e.Root, bin: p.bin(e.At)}
		p.seen[e.Round] = w
	}
	w.nodes |= 1 << n
	if e.Root != w.root && !w.bad {
		w.bad, w.bin = true, p.bin(e.At)
		if len(p.Problems) == 0 {
			p.Problems = append(p.Problems, point{e.At.Seconds(), "bad", e.String()})
		}
	}
}

func (p *painter) finish() {
	for n := range p.Nodes {
		p.close(n, time.Duration(p.End*float64(time.Second)))
		last := uint64(0)
		for b, r := range p.Nodes[n].Rounds { // 0 is "nothing new"
			if r != 0 {
				last = r - 1
			}
			p.Nodes[n].Rounds[b] = last
		}
	}
	for _, w := range p.seen {
		state := 1
		switch {
		case w.bad:
			state = 3
		case w.nodes&(w.nodes-1) != 0:
			state = 2
		}
		switch have := p.Strip[w.bin]; {
		case state == 3 || have == 0:
			p.Strip[w.bin] = state
		case have == 2 && state == 1:
			p.Strip[w.bin] = 1
		}
	}
	for i := range p.Latency {
		p.Latency[i] = make([]int64, bins)
	}
	for b, all := range p.latencies {
		if len(all) > 0 {
			slices.Sort(all)
			p.Latency[0][b] = all[len(all)/2].Microseconds()
			p.Latency[1][b] = all[len(all)*99/100].Microseconds()
		}
	}
	for i := range p.Faults {
		if p.Faults[i].To < 0 {
			p.Faults[i].To = p.Faults[i].From
		}
	}
}
