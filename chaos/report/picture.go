package report

import (
	"slices"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// bins is how many steps the time of a run is cut into for curves and strips. The page lets people look closer, and thins out
// again for its width.
const bins = 1200

// maxMarks bounds the single events on the lanes, maxFaults the faults, and maxWords the bytes of what is said about one of either. Of
// more the newest are shown: a run that goes wrong ends there.
const (
	maxMarks  = 4000
	maxFaults = 2000
	maxWords  = 300
)

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
func picture(l *history.Log, v check.Verdict) *drawing {
	end := time.Duration(1)
	for i := range l.Events {
		end = max(end, l.Events[i].At)
	}
	n := l.Header.Replicas
	p := &painter{step: end/bins + 1, open: make([]span, n), rounds: make([]uint64, n), drawn: make([]int, n), bands: map[uint32]int{},
		latencies: make([][]time.Duration, bins), seen: map[uint64]*witnessed{}}
	p.End, p.Step, p.Healed = end.Seconds(), p.step.Seconds(), -1
	p.Nodes, p.Faults, p.Problems = make([]lane, n), []band{}, []problem{} // the page's script wants lists, also empty ones
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
	for _, v := range violations(v) {
		p.Problems = append(p.Problems, problem{min(v.At.Seconds(), p.End), v.Checker, words(v.String())})
	}
	return &p.drawing
}

// words cuts what is said about something to a length that can be read in passing.
func words(text string) string {
	if len(text) <= maxWords {
		return text
	}
	return strings.ToValidUTF8(text[:maxWords], "") + " …"
}

func (p *painter) bin(t time.Duration) int { return min(int(t/p.step), bins-1) }

func (p *painter) event(e *history.Event) {
	switch e.Kind {
	case history.FaultBegin:
		p.bands[e.Fault] = len(p.Faults)
		p.Faults = append(p.Faults, band{From: e.At.Seconds(), Fault: e.Fault, Text: words(e.Text), Open: true})
	case history.FaultEnd:
		if i, ok := p.bands[e.Fault]; ok {
			p.Faults[i].To, p.Faults[i].Struck, p.Faults[i].Open = e.At.Seconds(), e.Count, false
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
	p.follows(e, n)
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

// follows notices who leads no more, or stands no more: not every history says it, but whoever votes for another replica in a later
// term, or has an entry of one, knows of that term and has not won it.
func (p *painter) follows(e *history.Event, n int) {
	switch e.Kind {
	case history.Voted, history.Appended, history.Applied:
	default:
		return
	}
	was := p.open[n]
	lost := e.Term > was.Term || e.Term == was.Term && was.Is == "candidate" && e.Kind == history.Applied
	if (was.Is == "leader" || was.Is == "candidate") && lost && e.Peer != e.Node {
		p.is(n, e, "follower")
	}
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
	p.Nodes[n].Points = append(p.Nodes[n].Points, point{e.At.Seconds(), kind, words(e.String())})
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
		if p.Faults[i].Open {
			p.Faults[i].To = p.End
		}
	}
	p.newestMarks()
	if n := len(p.Faults) - maxFaults; n > 0 {
		p.Left, p.Faults = n, p.Faults[n:]
	}
}

// newestMarks leaves the oldest events out of the lanes if there are too many.
func (p *painter) newestMarks() {
	var times []float64
	for _, l := range p.Nodes {
		for _, m := range l.Points {
			times = append(times, m.At)
		}
	}
	if len(times) <= maxMarks {
		return
	}
	slices.Sort(times)
	p.Marked = times[len(times)-maxMarks]
	for n := range p.Nodes {
		l := &p.Nodes[n]
		l.Points = slices.DeleteFunc(l.Points, func(m point) bool { return m.At < p.Marked && m.Kind != "bad" })
	}
}
