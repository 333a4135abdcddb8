package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/snapshot"
)

// source is what machines are made of and fed with: the log, the checkpoints, the engines.
type source struct {
	cfg         *Config
	first, last uint64 // of the log; 0 if it is empty
	checkpoints []*checkpointInfo

	engine, plain *canister.Engine // of the subject and of the reference; nil until they are needed
	plainly       string           // what the newest reference is
}

// checkpointInfo is a checkpoint of the configuration, or why it can't be used.
type checkpointInfo struct {
	snapshot.Manifest
	path string
	err  error
}

// start is where a machine begins.
type start struct {
	name  string
	path  string // of a checkpoint; "" is the empty state
	index uint64
	kept  bool // the search wrote it, and refers to the files of the start that it began from
}

// open opens the start's checkpoint; everything but the pages is verified.
func (s start) open() (*snapshot.Checkpoint, error) { return snapshot.OpenDirIn(s.files(), s.path) }

// openLazily opens the start's checkpoint; what is read of it is verified then.
func (s start) openLazily() (*snapshot.Checkpoint, error) {
	c, err := snapshot.OpenDirLazilyIn(s.files(), s.path)
	if err != nil {
		return nil, fmt.Errorf("begin from checkpoint %s: %w", s.path, err)
	}
	return c, nil
}

func (s start) files() snapshot.FS {
	if s.kept {
		return snapshot.References{}
	}
	return snapshot.OS{}
}

func openSource(c *Config) (*source, error) {
	s := &source{cfg: c}
	var err error
	if s.first, err = c.Log.FirstIndex(); err != nil {
		return nil, fmt.Errorf("find the first log entry: %w", err)
	}
	if s.last, err = c.Log.LastIndex(); err != nil {
		return nil, fmt.Errorf("find the last log entry: %w", err)
	}
	for _, path := range c.Checkpoints {
		info := &checkpointInfo{path: path}
		opened, err := snapshot.OpenDir(path)
		if err != nil {
			info.err = err
		} else {
			info.Manifest = opened.Manifest
			info.err = opened.Close()
		}
		s.checkpoints = append(s.checkpoints, info)
	}
	slices.SortStableFunc(s.checkpoints, func(a, b *checkpointInfo) int { return int(a.Index) - int(b.Index) })
	return s, nil
}

func (s *source) close() {
	for _, e := range []*canister.Engine{s.engine, s.plain} {
		if e != nil {
			e.Close()
		}
	}
}

// choose finds the start that Config.From names.
func (s *source) choose(from string) (start, error) {
	empty := start{name: FromEmpty}
	switch {
	case from == FromEmpty && s.first > 1:
		return start{}, fmt.Errorf("%w: it begins at entry %d; begin from a checkpoint", ErrStart, s.first)
	case from == FromEmpty || from == "" && s.first <= 1:
		return empty, nil
	case from != "":
		return s.chooseCheckpoint(from)
	}
	for _, c := range s.checkpoints {
		if c.err == nil && s.reaches(c.Index) {
			return start{name: c.path, path: c.path, index: c.Index}, nil
		}
	}
	return start{}, fmt.Errorf("%w: it begins at entry %d, and no readable checkpoint reaches it; name one", ErrStart, s.first)
}

func (s *source) chooseCheckpoint(path string) (start, error) {
	for _, c := range s.checkpoints { // by name
		if filepath.Base(c.path) == path {
			path = c.path
		}
	}
	if info, err := os.Stat(filepath.Join(path, manifestFile)); err != nil || !info.Mode().IsRegular() {
		return start{}, fmt.Errorf("%w: %q is no checkpoint: %s", ErrStart, path, s.checkpointNames())
	}
	c, err := snapshot.OpenDir(path)
	if err != nil {
		return start{}, fmt.Errorf("begin from checkpoint %s: %w", path, err)
	}
	out := start{name: path, path: path, index: c.Index}
	if err := c.Close(); err != nil {
		return start{}, err
	}
	if !s.reaches(out.index) {
		return start{}, fmt.Errorf("%w: checkpoint %s is of entry %d, the log holds %d to %d", ErrStart, path, out.index, s.first, s.last)
	}
	return out, nil
}

// checkpointNames says what could be named.
func (s *source) checkpointNames() string {
	names := "name a checkpoint's folder, or \"empty\""
	for i, c := range s.checkpoints {
		if i == 0 {
			names += "; here are"
		}
		names += " " + filepath.Base(c.path)
	}
	return names
}

// reaches reports whether the log goes on without a gap after an index.
func (s *source) reaches(index uint64) bool {
	return s.first != 0 && s.first <= index+1 && index <= s.last
}

// round reads a log entry; nil if it is none of a round.
func (s *source) round(index uint64) (*fsm.Round, error) {
	var entry raft.Log
	if err := s.cfg.Log.GetLog(index, &entry); err != nil {
		var damage *node.EntryError
		if errors.As(err, &damage) { // which names the entry too
			err = fmt.Errorf("damaged: %w", damage.Err)
		}
		return nil, &EntryError{Index: index, Err: err}
	}
	if entry.Type != raft.LogCommand {
		return nil, nil
	}
	round, err := fsm.DecodeRound(entry.Data)
	if err != nil {
		return nil, &EntryError{Index: index, Err: err}
	}
	return round, nil
}

// subject makes the machine that is examined.
func (s *source) subject(at start) (Machine, error) {
	if s.cfg.Open != nil {
		m, err := s.cfg.Open()
		if err != nil {
			return nil, err
		}
		return restore(m, at)
	}
	if s.engine == nil {
		var err error
		if s.engine, err = newEngine(s.cfg.Options.OptLevel, s.cfg.Options.ModuleCache); err != nil {
			return nil, err
		}
	}
	return newMachine(fsm.Config{Engine: s.engine, Tracker: s.cfg.Options.Tracker, Workers: s.cfg.Options.Workers, RootsKept: rootsKept}, at)
}

// reference makes the plainest machine there is: pages compared by bytes, one canister after the other, unoptimised code. Where
// comparing would take seconds a message, another kind of tracker than the subject's finds the pages.
func (s *source) reference(at start) (Machine, error) {
	if s.plain == nil {
		var err error
		if s.plain, err = newEngine(canister.OptNone, s.cfg.Options.ModuleCache); err != nil {
			return nil, err
		}
	}
	large, err := isLarge(at)
	if err != nil {
		return nil, err
	}
	tracker := memstore.TrackerCompare
	if large {
		tracker = unlike(s.cfg.Options.Tracker)
	}
	s.plainly = fmt.Sprintf("a plain machine (tracker %s, one worker, no optimisation)", tracker)
	return newMachine(fsm.Config{Engine: s.plain, Tracker: tracker, Workers: 1, RootsKept: rootsKept}, at)
}

// comparedPages is the number of pages, 32 MiB, up to which the reference compares the whole state after every message.
const comparedPages = 8192

// isLarge reports whether a start is a state of more pages than that.
func isLarge(at start) (bool, error) {
	if at.path == "" {
		return false, nil
	}
	c, err := at.openLazily()
	if err != nil {
		return false, err
	}
	pages := uint64(0)
	for _, m := range c.Memories {
		pages += m.Size
	}
	return pages > comparedPages, c.Close()
}

// unlike is a tracker that shares no mechanism with another: signals, or the kernel's page tables.
func unlike(t memstore.Tracker) memstore.Tracker {
	switch t {
	case memstore.TrackerNaive, memstore.TrackerPrefetch, memstore.TrackerWholePage:
		return memstore.TrackerCow
	}
	return memstore.TrackerWholePage
}

// rootsKept is small: the player keeps the roots itself.
const rootsKept = 16

func newEngine(level canister.OptLevel, cache string) (*canister.Engine, error) {
	engine, err := canister.NewEngine(canister.EngineConfig{OptLevel: level, CacheDir: cache})
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	return engine, nil
}

func newMachine(c fsm.Config, at start) (Machine, error) {
	m, err := fsm.New(c)
	if err != nil {
		return nil, fmt.Errorf("open state machine: %w", err)
	}
	return restore(m, at)
}

// restore brings a new machine to the start. The machine is closed on an error.
func restore(m Machine, at start) (Machine, error) {
	if at.path == "" {
		return m, nil
	}
	c, err := at.openLazily()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := errors.Join(m.RestoreCheckpoint(c), c.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("begin from checkpoint %s: %w", at.path, err), m.Close())
	}
	return m, nil
}
