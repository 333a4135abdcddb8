package real

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/node"
)

// member is a replica as its run has it: its folder, its ports and the process that runs it at the moment.
type member struct {
	run    *run
	number int
	dir    string
	log    string
	raft   *node.Reservation
	http   *node.Reservation

	// mu guards the fields below; it is held while the process is started or ended.
	mu      sync.Mutex
	options plan.Options
	proc    *process
	read    chan struct{} // closed when the process has ended and all its events are recorded
	wanted  atomic.Bool   // the end of the process is wanted
	// down and paused count the faults that hold the replica down or still. broken: a fault has broken its disk, so that it may
	// stop for a reason of its own, and is started again.
	down, paused int
	broken       bool
	crashing     atomic.Int32 // the fault by which the process may kill itself
}

func newMember(r *run, number int) (*member, error) {
	m := &member{run: r, number: number, dir: filepath.Join(r.data, name(number)), log: r.report.LogPath(number),
		options: r.plan.Replicas[number-1]}
	var err error
	if m.raft, err = node.Reserve(); err != nil {
		return nil, err
	}
	m.http, err = node.Reserve()
	return m, err
}

// config is what the process is told.
func (m *member) config() ([]byte, error) {
	r := m.run
	c := ReplicaConfig{Number: m.number, Replicas: len(r.members), Cluster: r.cluster, Dir: m.dir, Options: m.options,
		Election: r.plan.Cluster.Election, Timeout: peerTimeout}
	for _, other := range r.members {
		p := node.Peer{ID: name(other.number), Raft: other.raft.Addr, HTTP: other.http.Addr}
		if other != m {
			p.Raft = r.net.address(pair{m.number, other.number})
		}
		c.Peers = append(c.Peers, p)
	}
	return json.Marshal(c)
}

// start starts the process.
func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.startLocked()
}

func (m *member) startLocked() error {
	if m.alive() {
		return nil
	}
	if err := m.buryLocked(); err != nil {
		return err
	}
	config, err := m.config()
	if err != nil {
		return err
	}
	r := m.run
	p, err := startProcess(launch{program: r.Program, args: append(append([]string(nil), r.Args...), string(config)), log: m.log})
	if err != nil {
		return err
	}
	m.proc, m.read = p, make(chan struct{})
	m.wanted.Store(false)
	r.readers.Go(func() { m.listen(p, m.read) })
	return nil
}

// alive reports whether a process runs.
func (m *member) alive() bool {
	if m.proc == nil {
		return false
	}
	select {
	case <-m.proc.done:
		return false
	default:
		return true
	}
}

// buryLocked waits until everything of the process that has ended is recorded.
func (m *member) buryLocked() error {
	if m.proc == nil {
		return nil
	}
	<-m.read
	m.proc.close()
	m.proc = nil
	return nil
}

// hold ends the process, if this is the first fault that wants it, and keeps it ended until release. It reports whether
// a process was ended. Gently asks it to stop in order.
func (m *member) hold(fault int, gently bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down++; m.down > 1 || !m.alive() {
		return false
	}
	m.endLocked(fault, gently)
	return true
}

// stopWithin bounds an orderly stop: of a replica whose disk hangs, for one. Other faults of the replica wait for it.
const stopWithin = 1500 * time.Millisecond

func (m *member) endLocked(fault int, gently bool) {
	if m.proc == nil {
		return
	}
	m.wanted.Store(true)
	e := history.Event{Kind: history.Crashed, Fault: uint32(fault), Text: "killed"}
	if gently {
		e = history.Event{Kind: history.Stopped, Text: "asked to"}
		m.proc.input.Close()
		m.proc.signal(syscall.SIGCONT) // one that stands still could not stop: supervisors do the same
		select {
		case <-m.proc.done:
		case <-time.After(stopWithin):
			e.Text = "asked to, and killed after " + stopWithin.String()
		}
	}
	m.proc.signal(syscall.SIGKILL)
	_ = m.buryLocked()
	e.Node = uint8(m.number)
	m.run.record(e)
}

// release starts the process again if no other fault holds it down.
func (m *member) release() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down--; m.down > 0 {
		return nil
	}
	return m.startLocked()
}

// revive starts a process again that has ended by itself because of a broken disk.
func (m *member) revive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down > 0 || !m.broken || m.alive() {
		return nil
	}
	return m.startLocked()
}

// pause stops the process where it stands; it reports whether it did. goOn lets it go on.
func (m *member) pause() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused++; m.paused > 1 || !m.alive() {
		return false
	}
	m.proc.signal(syscall.SIGSTOP)
	return true
}

func (m *member) goOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused--; m.paused == 0 && m.alive() {
		m.proc.signal(syscall.SIGCONT)
	}
}

// command tells the process something about its disk.
func (m *member) command(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive() {
		m.proc.command(format, args...)
	}
}

// mark notes that a fault may end the process from inside.
func (m *member) mark(crashing int, broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashing.Store(int32(crashing))
	m.broken = m.broken || broken
}

// close ends everything of the replica, without words.
func (m *member) close() {
	m.mu.Lock()
	m.wanted.Store(true)
	if m.proc != nil {
		m.proc.signal(syscall.SIGKILL)
		_ = m.buryLocked()
	}
	m.mu.Unlock()
	for _, r := range []*node.Reservation{m.raft, m.http} {
		if r != nil {
			r.Close()
		}
	}
}

// listen records what a process tells until it ends, and why it ended if nobody wanted it to.
func (m *member) listen(p *process, read chan<- struct{}) {
	defer close(read)
	began := fileSize(m.log)
	s := history.NewScanner(p.events, name(m.number), 0)
	for s.Next() {
		m.run.heard(m, *s.Event())
	}
	err := s.Err()
	<-p.done
	if err != nil && !errors.Is(err, os.ErrClosed) {
		m.run.record(history.Event{Kind: history.Note, Node: uint8(m.number), Text: err.Error()})
	}
	m.autopsy(p, began)
}

// autopsy records the end of a process that nobody wanted. It takes no lock: whoever ends a process holds it.
func (m *member) autopsy(p *process, began int64) {
	if m.wanted.Load() {
		return
	}
	e := history.Event{Node: uint8(m.number), Kind: history.Stopped, Text: p.exit}
	words := lastWords(m.log, began)
	switch {
	case p.code == -1 && m.crashing.Load() != 0:
		e.Kind, e.Fault, e.Text = history.Crashed, uint32(m.crashing.Load()), "killed itself at the step"
	case strings.HasPrefix(words, "panic: "), strings.HasPrefix(words, "fatal error: "):
		e.Kind, e.Text = history.Panicked, words
	case p.code == exitDiverged, p.code == exitFailed && words == "":
		return // it has said so itself
	case words != "":
		e.Text = words
	}
	m.run.record(e)
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// lastWords is the newest line behind an offset by which a process explains its end.
func lastWords(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	from = max(from, fileSize(path)-256<<10)
	text, err := io.ReadAll(io.NewSectionReader(f, from, 256<<10))
	if err != nil {
		return ""
	}
	found := ""
	for line := range bytes.Lines(text) {
		words := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(words, "panic: "), strings.HasPrefix(words, "fatal error: "):
			return words
		case strings.HasPrefix(words, "error: "):
			found = strings.TrimPrefix(words, "error: ")
		}
	}
	return found
}

// String names the replica.
func (m *member) String() string { return fmt.Sprintf("replica %d", m.number) }
