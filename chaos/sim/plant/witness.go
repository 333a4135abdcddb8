package plant

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/sim"
	"lockstep/node"
)

// witness watches bare raft, to tell afterwards which defect a violation comes from: each rule below is about what the replicas that it
// names did or were sent, not about how the run ended. Its layers change nothing.
type witness struct {
	mu      sync.Mutex
	nodes   map[int]*watched
	blocked map[*sending]bool
	// term is the newest in which somebody led.
	term          uint64
	damaged, lost bool
}

// watched is what is known of one replica.
type watched struct {
	// log are its entries' terms by index, applied is the last round that it has applied, both by index.
	log     map[uint64]uint64
	applied uint64
	// refused says that it could not use a checkpoint since it was started the last time.
	refused bool
	// installs counts how often it has taken the checkpoint of entry at, without an entry written between. Its log contradicted conflicts
	// of these, and began behind behind of them.
	at, atTerm                  uint64
	installs, conflicts, behind int
	store                       *failingLog
}

// sending is a request that a pipeline does not take.
type sending struct {
	from, to int
	term     uint64
	since    time.Time
}

// Bounds of the witness's rules.
const (
	againAndAgain = 3               // installs of one checkpoint, with nothing written between
	tooLong       = 2 * time.Second // for a pipeline to take a request
)

// bareRaft is bare raft with a witness. Calls between canisters stay on their way where no message follows: that is node's to see to.
func bareRaft() *sim.Seams {
	w := &witness{nodes: map[int]*watched{}, blocked: map[*sending]bool{}}
	return &sim.Seams{Bare: true, Without: []string{"conservation"}, Event: w.event, Causes: w.causes,
		Logs: func(replica int, under raft.LogStore) raft.LogStore {
			w.mu.Lock()
			defer w.mu.Unlock()
			l := &failingLog{LogStore: under}
			w.node(replica).store = l
			return l
		},
		Network: func(replica int, under node.Network) node.Network { return &watchedNetwork{under, w, replica} }}
}

// node is the replica of a number. The caller must hold mu.
func (w *witness) node(n int) *watched {
	if w.nodes[n] == nil {
		w.nodes[n] = &watched{log: map[uint64]uint64{}}
	}
	return w.nodes[n]
}

// event sees everything that is recorded.
func (w *witness) event(e *history.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Node == 0 {
		return true
	}
	n := w.node(int(e.Node))
	switch e.Kind {
	case history.RoleChanged:
		if e.Role == history.Leader {
			w.term = max(w.term, e.Term)
		}
	case history.Appended:
		maps.DeleteFunc(n.log, func(i, _ uint64) bool { return i >= e.Index })
		n.log[e.Index], n.installs = e.Term, 0
	case history.Truncated, history.Compacted:
		maps.DeleteFunc(n.log, func(i, _ uint64) bool { return e.Index <= i && i <= e.To })
	case history.Started: // a crash may have lost the end of it
		maps.DeleteFunc(n.log, func(i, _ uint64) bool { return i > e.To })
		n.applied, n.refused, n.installs = e.Index, false, 0
	case history.Applied:
		n.applied = e.Index
	case history.CheckpointRefused:
		n.refused = true
	case history.Damaged:
		w.lost = w.lost || e.Text == "the disk is new"
		w.damaged = w.damaged || strings.HasPrefix(e.Text, "log: ")
		if e.Text == "the disk is new" {
			clear(n.log)
		}
	case history.Installed:
		n.installed(e)
	}
	return true
}

// installed judges a checkpoint that has become the replica's state.
func (n *watched) installed(e *history.Event) {
	if e.Index < n.applied {
		fmt.Fprintln(os.Stderr, shownPrefix+string(StaleInstall))
	}
	if n.at != e.Index || n.atTerm != e.Term || n.installs == 0 {
		n.at, n.atTerm, n.installs, n.conflicts, n.behind = e.Index, e.Term, 0, 0, 0
	}
	n.installs++
	contradicts, reaches, held := false, false, n.log[e.Index] != 0
	for i, term := range n.log { // terms never fall along a log
		contradicts = contradicts || i == e.Index && term != e.Term || i > e.Index && term < e.Term
		reaches = reaches || i > e.Index
	}
	switch {
	case contradicts:
		n.conflicts++
	case reaches && !held:
		n.behind++
	}
	n.applied = e.Index
}

// causes names what is behind a violation.
func (w *witness) causes(v *check.Verdict) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	add := func(d Defect) {
		if !slices.Contains(found, string(d)) {
			found = append(found, string(d))
		}
	}
	i := slices.IndexFunc(v.Findings, func(f check.Finding) bool { return f.Checker == v.Leading })
	if v.Judgement != check.Violated || i < 0 || v.Findings[i].Violation == nil {
		return nil
	}
	leading := v.Findings[i].Violation
	switch v.Leading {
	case "apply-order":
		if strings.Contains(leading.Sentence, "was taken back to a checkpoint") {
			add(StaleInstall)
		}
	case "no-panic":
		for _, number := range leading.Nodes {
			if w.node(number).refused && strings.Contains(leading.Sentence, raft.ErrLogNotFound.Error()) {
				add(BadCheckpoint)
			}
		}
	case "liveness":
		nodes := leading.Nodes
		if len(nodes) == 0 || strings.Contains(leading.Sentence, "again and again") || strings.Contains(leading.Sentence, "no round was applied") {
			nodes = slices.Sorted(maps.Keys(w.nodes))
		}
		for _, number := range nodes {
			w.standsStill(number, add)
		}
	}
	if len(found) == 0 && w.damaged {
		add(damagedLog)
	}
	if len(found) == 0 && w.lost {
		add(lostDisk)
	}
	return found
}

// standsStill names why a replica does not get on. The caller must hold mu.
func (w *witness) standsStill(number int, add func(Defect)) {
	n := w.node(number)
	switch {
	case n.installs >= againAndAgain && n.conflicts >= againAndAgain:
		add(InstallLivelock)
	case n.installs >= againAndAgain && n.behind >= againAndAgain:
		add(InstallWithoutIt)
	}
	if n.store != nil && n.store.wedged() {
		add(StoreErrorWedge)
	}
	for s := range w.blocked {
		if (s.to == number || s.from == number) && s.term == w.term && time.Since(s.since) > tooLong {
			add(PipelineWedge)
		}
	}
}

// failingLog is the log of one life. Raft remembers where its log ends: not where it does, if the write fails that follows a cut.
type failingLog struct {
	raft.LogStore

	mu sync.Mutex
	// cut says that the end was cut off by the last change, failed that the write after that has failed; missed counts the entries that raft
	// has looked for since, and that it takes to be there.
	cut, failed bool
	missed      int
}

// DeleteRange implements raft.LogStore.
func (f *failingLog) DeleteRange(low, high uint64) error {
	last, err := f.LastIndex()
	if err != nil {
		return err
	}
	if err := f.LogStore.DeleteRange(low, high); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = high >= last
	return nil
}

// StoreLogs implements raft.LogStore.
func (f *failingLog) StoreLogs(entries []*raft.Log) error {
	err := f.LogStore.StoreLogs(entries)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err != nil && (f.cut || f.failed)
	f.cut, f.missed = false, 0
	return err
}

// StoreLog implements raft.LogStore.
func (f *failingLog) StoreLog(e *raft.Log) error { return f.StoreLogs([]*raft.Log{e}) }

// GetLog implements raft.LogStore.
func (f *failingLog) GetLog(index uint64, e *raft.Log) error {
	err := f.LogStore.GetLog(index, e)
	if errors.Is(err, raft.ErrLogNotFound) {
		f.mu.Lock()
		f.missed++
		f.mu.Unlock()
	}
	return err
}

func (f *failingLog) wedged() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed && f.missed >= againAndAgain
}

// watchedNetwork sees which requests a pipeline does not take.
type watchedNetwork struct {
	node.Network
	w    *witness
	self int
}

// AppendEntriesPipeline implements raft.Transport.
func (n *watchedNetwork) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	under, err := n.Network.AppendEntriesPipeline(id, to)
	if err != nil {
		return nil, err
	}
	p := &watchedPipeline{AppendPipeline: under, n: n}
	_, err = fmt.Sscanf(string(to), "n%d", &p.to)
	return p, err
}

type watchedPipeline struct {
	raft.AppendPipeline
	n  *watchedNetwork
	to int
}

// AppendEntries implements raft.AppendPipeline.
func (p *watchedPipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	s, w := &sending{p.n.self, p.to, req.Term, time.Now()}, p.n.w
	w.mu.Lock()
	w.blocked[s] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.blocked, s)
		w.mu.Unlock()
	}()
	return p.AppendPipeline.AppendEntries(req, resp)
}
