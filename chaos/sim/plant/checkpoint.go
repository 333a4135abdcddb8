package plant

import (
	"bytes"
	"iter"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// persisting makes a bug in what a checkpoint is written from.
func persisting(change func(*snapshot.State)) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Machine: func(_ int, under node.Machine) node.Machine { return &capturer{under, change} }}
	}
}

// capturer is a state machine whose checkpoints are changed on their way.
type capturer struct {
	node.Machine
	change func(*snapshot.State)
}

// Snapshot implements raft.FSM.
func (c *capturer) Snapshot() (raft.FSMSnapshot, error) {
	under, err := c.Machine.Snapshot()
	if err != nil {
		return nil, err
	}
	return &captured{under, c.change}, nil
}

type captured struct {
	raft.FSMSnapshot
	change func(*snapshot.State)
}

// Persist implements raft.FSMSnapshot.
func (c *captured) Persist(sink raft.SnapshotSink) error {
	return c.FSMSnapshot.Persist(&changedSink{sink, c.change})
}

type changedSink struct {
	raft.SnapshotSink
	change func(*snapshot.State)
}

// WriteState is what the state machine looks for in a sink.
func (c *changedSink) WriteState(s snapshot.State) error {
	c.change(&s)
	return c.SnapshotSink.(interface{ WriteState(snapshot.State) error }).WriteState(s)
}

// tables makes a bug in what a checkpoint's table says. It is whole: it is read and written as the state machine does.
func tables(change func(*fsm.StateTable)) func(*snapshot.State) {
	return func(s *snapshot.State) {
		table, err := fsm.DecodeTable(s.Table)
		if err != nil {
			return
		}
		change(table)
		if encoded, err := table.Encode(); err == nil {
			s.Table = encoded
		}
	}
}

// overlays merges what changed since the checkpoint before with what had changed before that, the older pages over the newer.
type overlays struct {
	older map[string]map[uint64]snapshot.Page // by memory
}

func (o *overlays) merge(s *snapshot.State) {
	for i := range s.Memories {
		m := &s.Memories[i]
		changes := m.Changes
		if changes == nil {
			changes = m.Pages
		}
		older, newer := o.older[m.Name], map[uint64]snapshot.Page{}
		for page, p := range changes {
			newer[page] = snapshot.Page{Hash: p.Hash, Bytes: bytes.Clone(p.Bytes)}
		}
		o.older[m.Name] = newer
		m.Pages = under(older, m.Pages)
		if m.Changes != nil {
			m.Changes = under(older, m.Changes)
		}
	}
}

// under lays pages under others.
func under(upper map[uint64]snapshot.Page, pages iter.Seq2[uint64, snapshot.Page]) iter.Seq2[uint64, snapshot.Page] {
	return func(yield func(uint64, snapshot.Page) bool) {
		for page, p := range pages {
			if u, ok := upper[page]; ok && u.Bytes != nil {
				p = u
			}
			if !yield(page, p) {
				return
			}
		}
	}
}

func overlaidWrongly() *sim.Seams {
	return &sim.Seams{Machine: func(_ int, under node.Machine) node.Machine {
		o := &overlays{map[string]map[uint64]snapshot.Page{}}
		return &capturer{under, o.merge}
	}}
}

const killed = "at 12s for 500ms kill nodes=2\nat 18s for 500ms kill nodes=3\n"

var checkpointPlants = []Plant{
	{Name: "checkpoint-of-another-round", Doc: "a checkpoint's header names the round after its own.", Expect: []string{"checkpoint-truth"},
		seams: persisting(func(s *snapshot.State) { s.Round++ })},
	{Name: "checkpoint-old-root", Doc: "a checkpoint's root is not that of its state.", Expect: []string{"checkpoint-truth"},
		seams: persisting(func(s *snapshot.State) { s.Root = pagetrie.Hash{1} })},
	{Name: "checkpoint-without-memory", Doc: "a checkpoint leaves out a canister's memory.",
		Expect: []string{"checkpoint-truth"}, faults: killed,
		seams: persisting(func(s *snapshot.State) { s.Memories = s.Memories[1:] })},
	{Name: "checkpoint-without-globals", Doc: "a checkpoint has the globals of canisters as they began.",
		Expect: []string{"checkpoint-truth"}, faults: killed,
		seams: persisting(tables(func(t *fsm.StateTable) {
			for i := range t.Canisters {
				for j := range t.Canisters[i].Globals {
					g := &t.Canisters[i].Globals[j]
					g.Lo, g.Hi = 0, 0
				}
			}
		}))},
	{Name: "checkpoint-without-sessions", Doc: "a checkpoint leaves out the sessions.", Expect: []string{"checkpoint-truth"}, faults: killed,
		seams: persisting(tables(func(t *fsm.StateTable) { t.Sessions = nil }))},
	{Name: "checkpoint-wrong-size", Doc: "a checkpoint says that canisters' memories are a Wasm page longer than they are.",
		Expect: []string{"checkpoint-truth"}, faults: killed,
		seams: persisting(func(s *snapshot.State) {
			for i := range s.Memories {
				if m := &s.Memories[i]; strings.HasPrefix(m.Name, "canister-") {
					m.Size += memstore.WasmPageSize / memstore.PageSize
				}
			}
		})},
	{Name: "checkpoint-table-cut", Doc: "the end of a checkpoint's table is left out.", Expect: []string{"checkpoint-truth"}, faults: killed,
		seams: persisting(func(s *snapshot.State) { s.Table = s.Table[:len(s.Table)*2/3] })},
	{Name: "overlay-oldest-last", Doc: "a page that changed before and after the checkpoint before this one has its older contents in this one.",
		Expect: []string{"checkpoint-truth"}, faults: killed, seams: overlaidWrongly},
	{Name: "checkpoint-index-ahead", Doc: "a checkpoint says that it is of later entries than it is.",
		Expect: []string{"checkpoint-truth", "apply-order", agreement}, faults: killed, seams: indexAhead},
	{Name: "no-folder-sync", Doc: "the folder of the checkpoints is never synced.", Expect: []string{"checkpoint-truth"},
		faults: "at 10s for 500ms crash nodes=2 power=lost\nat 20s for 500ms crash nodes=3 power=lost\n", seams: noFolderSync},
	{Name: "no-file-sync", Doc: "a checkpoint's files are not synced before it gets its name.", Expect: []string{"checkpoint-truth", "no-panic"},
		faults: "at 10s for 500ms crash nodes=2 power=lost\nat 20s for 500ms crash nodes=3 power=lost\n", seams: noFileSync},
}

// ahead gives checkpoints a later index.
type ahead struct{ node.Checkpoints }

// Create implements raft.SnapshotStore.
func (a *ahead) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	return a.Checkpoints.Create(v, index+3, term, c, ci, t)
}

func indexAhead() *sim.Seams {
	return &sim.Seams{Checkpoints: func(_ int, under node.Checkpoints) node.Checkpoints { return &ahead{under} }}
}

// unsyncedFolder forgets to sync the folder that holds the checkpoints.
type unsyncedFolder struct{ snapshot.FS }

// SyncDir implements snapshot.FS.
func (u *unsyncedFolder) SyncDir(path string) error {
	if strings.HasPrefix(filepath.Base(path), "tmp-") {
		return u.FS.SyncDir(path)
	}
	return nil
}

func noFolderSync() *sim.Seams {
	return &sim.Seams{Files: func(_ int, under snapshot.FS) snapshot.FS { return &unsyncedFolder{under} }}
}

// unsyncedFiles forgets to sync files.
type unsyncedFiles struct{ snapshot.FS }

// Create implements snapshot.FS.
func (u *unsyncedFiles) Create(path string) (snapshot.File, error) {
	f, err := u.FS.Create(path)
	if err != nil {
		return nil, err
	}
	return &unsyncedFile{f}, nil
}

type unsyncedFile struct{ snapshot.File }

// Sync implements snapshot.File.
func (*unsyncedFile) Sync() error { return nil }

func noFileSync() *sim.Seams {
	return &sim.Seams{Files: func(_ int, under snapshot.FS) snapshot.FS { return &unsyncedFiles{under} }}
}
