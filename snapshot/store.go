package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lockstep/pagetrie"

	"github.com/hashicorp/raft"
)

// Hashing is how the state machine hashes, given to this package so that it can check what it stores and receives. The
// functions are pure and are called from several goroutines.
type Hashing struct {
	// Page hashes a page, as the trie of a memory does (memstore.HashPage). Required.
	Page func(page []byte) pagetrie.Hash
	// Pair, if not nil, hashes two pages at once, as Page hashes each.
	Pair func(a, b []byte) (x, y pagetrie.Hash)
	// Memory makes a memory's root of its size in pages and the root of its trie. Nil: a memory's root is its trie's.
	Memory func(size uint64, pages pagetrie.Hash) pagetrie.Hash
}

// VerifyLevel says how much of a checkpoint a Store verifies when it opens one.
type VerifyLevel int

const (
	// VerifyPages verifies every byte. Cost: hashing the state.
	VerifyPages VerifyLevel = iota
	// VerifyIndexes verifies everything but the pages. Cost: reading about a hundredth of the state.
	VerifyIndexes
	// VerifyOnUse verifies manifest and table, and the rest when it is used: see MemoryFile.Stored. Cost: reading the runs
	// of pages, whatever their number.
	VerifyOnUse
)

// Config is a Store's configuration.
type Config struct {
	// Dir is the store's folder; it is made if it is missing. One Store at a time uses it.
	Dir string
	// Cluster is the name of the cluster whose checkpoints these are. One of another cluster, or of none, is set aside where it is
	// found and refused where it is sent; Import alone takes it. Empty: those of any, and what is written here is of none.
	Cluster string
	// Keep is the number of newest checkpoints kept. Zero: 2, so that a damaged one has a predecessor.
	Keep int
	// KeepDamaged is the number of damaged checkpoints kept as evidence. Zero: 2. Negative: none.
	KeepDamaged int
	// Hashing is required.
	Hashing Hashing
	// VerifyOnOpen applies to Open, OpenCheckpoint: the way to a local restart. What arrives from a peer, and what is sent to
	// one, is verified in full whatever it says. Zero: VerifyPages.
	VerifyOnOpen VerifyLevel
	// FS is the file layer. Nil: OS.
	FS FS
	// MaxBytes is the most that a received checkpoint may have. Zero: MaxStreamBytes.
	MaxBytes uint64
	// Merge says who merges overlays. Zero: a goroutine that a local checkpoint starts when it is needed.
	Merge MergeMode
	// OnMerge, if not nil, is called after each merge in the background. It must not call the Store.
	OnMerge func(MergeReport, error)
	// OnDamage, if not nil, is called after a checkpoint was set aside, with the reason. It must not call the Store.
	OnDamage func(id string, err error)
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("snapshot: Dir is empty"))
	}
	if len(c.Cluster) > MaxNameBytes {
		errs = append(errs, fmt.Errorf("snapshot: Cluster has %d bytes, at most %d are allowed", len(c.Cluster), MaxNameBytes))
	}
	if c.Keep < 0 {
		errs = append(errs, fmt.Errorf("snapshot: Keep is %d, it must not be negative", c.Keep))
	}
	if c.Hashing.Page == nil {
		errs = append(errs, errors.New("snapshot: Hashing.Page is missing"))
	}
	if c.Merge != MergeInBackground && c.Merge != MergeWhenAsked {
		errs = append(errs, fmt.Errorf("snapshot: Merge %d is unknown", c.Merge))
	}
	if c.VerifyOnOpen < VerifyPages || c.VerifyOnOpen > VerifyOnUse {
		errs = append(errs, fmt.Errorf("snapshot: VerifyOnOpen %d is unknown", c.VerifyOnOpen))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = 2
	}
	if c.KeepDamaged == 0 {
		c.KeepDamaged = 2
	}
	if c.FS == nil {
		c.FS = OS{}
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = MaxStreamBytes
	}
	return c
}

// Store is a folder of checkpoints. It implements raft.SnapshotStore. All methods may be called concurrently.
type Store struct {
	config Config
	fs     FS

	// writing is held while a local checkpoint is written or overlays are merged: both build on the newest checkpoint.
	writing sync.Mutex
	merges  sync.WaitGroup // the goroutine of mergeInBackground

	mu        sync.Mutex
	merging   bool                  // that goroutine runs
	wantMerge bool                  // a checkpoint was published that it has not looked at
	published map[string]*published // complete and, as far as known, sound
	taken     map[string]bool       // names given to sinks that are not published yet
	pins      map[string]int        // checkpoints that are being read as the base of a new one
	tickets   map[string]*Transfer  // of checkpoints that were received and not taken yet
	receiving bool                  // a Transfer is open
}

// published is a checkpoint that List offers.
type published struct {
	name name
	meta raft.SnapshotMeta
	root pagetrie.Hash
}

var _ raft.SnapshotStore = (*Store)(nil)

// OpenStore opens a folder of checkpoints: it makes it if need be, removes what an interrupted write left behind, and sets
// aside what is damaged.
func OpenStore(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Store{config: c, fs: c.FS, published: map[string]*published{}, taken: map[string]bool{}, pins: map[string]int{}, tickets: map[string]*Transfer{}}
	if err := mkdirAll(s.fs, filepath.Clean(c.Dir)); err != nil {
		return nil, fmt.Errorf("make checkpoint store: %w", err)
	}
	names, err := s.fs.List(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("list checkpoint store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		if err := s.adoptLocked(n); err != nil {
			return nil, fmt.Errorf("open checkpoint store: %w", err)
		}
	}
	return s, nil
}

// adoptLocked takes one name found in the folder for what it is.
func (s *Store) adoptLocked(entry string) error {
	if strings.HasPrefix(entry, tempPrefix) {
		return removeAll(s.fs, join(s.config.Dir, entry))
	}
	n, ok := parseName(entry)
	if !ok {
		return nil // not ours, or set aside
	}
	c, err := s.openFolder(n, openLazily)
	if IsDamage(err) {
		return s.setAsideLocked(n.String(), err)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	s.published[entry] = newPublished(n, c)
	return nil
}

func newPublished(n name, c *Checkpoint) *published {
	return &published{name: n, meta: c.meta(), root: c.Root}
}

// openFolder opens a published folder and holds its manifest against its name.
func (s *Store) openFolder(n name, open func(FS, string) (*Checkpoint, error)) (*Checkpoint, error) {
	c, err := open(s.fs, join(s.config.Dir, n.String()))
	if err != nil {
		return nil, err
	}
	err = c.named(n)
	if reason := s.foreign(&c.Manifest); err == nil && reason != "" {
		err = &Damage{File: join(c.Dir, manifestName), Offset: manifestHeadBytes, Fault: reason}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// foreign says why a checkpoint is not one of the store's cluster, and nothing if it is.
func (s *Store) foreign(m *Manifest) string {
	if s.config.Cluster == "" || m.Cluster == s.config.Cluster {
		return ""
	}
	return fmt.Sprintf("it is a checkpoint of cluster %q, here are those of %q: a state is taken to another cluster by an import", m.Cluster, s.config.Cluster)
}

// named holds the manifest against the folder's name.
func (c *Checkpoint) named(n name) error {
	if c.Index == n.index && c.Term == n.term {
		return nil
	}
	return &Damage{File: join(c.Dir, manifestName), Offset: 24, Fault: fmt.Sprintf("the manifest is of index %d and term %d, the folder's name says otherwise", c.Index, c.Term)}
}

// List returns the complete checkpoints, newest first. It implements raft.SnapshotStore.
func (s *Store) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var metas []*raft.SnapshotMeta
	for _, p := range s.newestFirstLocked() {
		meta := p.meta
		meta.Configuration = p.meta.Configuration.Clone()
		metas = append(metas, &meta)
	}
	return metas, nil
}

func (s *Store) newestFirstLocked() []*published {
	var all []*published
	for _, p := range s.published {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *published) int { return b.name.compare(a.name) })
	return all
}

// Open returns a checkpoint's meta and a reader of exactly meta.Size bytes; FromReader finds the folder behind it. A damaged
// checkpoint is set aside. It implements raft.SnapshotStore.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		return nil, nil, err
	}
	meta := c.meta()
	return &meta, &Reader{checkpoint: c, store: s, size: meta.Size}, nil
}

// OpenCheckpoint opens a checkpoint of the store and verifies it as Config.VerifyOnOpen says. A damaged one is set aside.
// The caller closes it.
func (s *Store) OpenCheckpoint(id string) (*Checkpoint, error) {
	c, err := s.openPublished(id)
	if err != nil {
		return nil, err
	}
	if s.config.VerifyOnOpen == VerifyPages {
		if _, err := verify(s.fs, c, s.config.Hashing); err != nil {
			c.Close()
			return nil, s.blame(c.ID, err)
		}
	}
	return c, nil
}

// openPublished opens files under the lock, so that none of them is removed meanwhile.
func (s *Store) openPublished(id string) (*Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.currentLocked(id)
	if p == nil {
		return nil, fmt.Errorf("open checkpoint %s: %w", id, ErrNoCheckpoint)
	}
	open := openFolder
	if s.config.VerifyOnOpen == VerifyOnUse {
		open = openLazily
	}
	c, err := s.openFolder(p.name, open)
	if err != nil {
		err = fmt.Errorf("open checkpoint %s: %w", id, err)
		if IsDamage(err) {
			err = errors.Join(err, s.setAsideLocked(p.name.String(), err))
		}
		return nil, err
	}
	c.blame = func(err error) error { return s.blame(c.ID, err) }
	return c, nil
}

// currentLocked finds a checkpoint, or the one that a merge has put in its place.
func (s *Store) currentLocked(id string) *published {
	if p := s.published[id]; p != nil {
		return p
	}
	n, ok := parseName(id)
	for _, p := range s.newestFirstLocked() {
		if ok && p.name.index == n.index && p.name.term == n.term && p.name.sequence > n.sequence {
			return p
		}
	}
	return nil
}

// blame sets a checkpoint aside if err says that it is damaged, and returns err with its name.
func (s *Store) blame(id string, err error) error {
	err = fmt.Errorf("checkpoint %s: %w", id, err)
	if IsDamage(err) {
		return errors.Join(err, s.SetAside(id, err))
	}
	return err
}

// meta is what raft is told about the checkpoint.
func (c *Checkpoint) meta() raft.SnapshotMeta {
	return raft.SnapshotMeta{
		Version:            raft.SnapshotVersionMax,
		ID:                 c.ID,
		Index:              c.Index,
		Term:               c.Term,
		Configuration:      c.Configuration.Clone(),
		ConfigurationIndex: c.ConfigurationIndex,
		Size:               c.streamBytes(),
	}
}

const (
	tempPrefix    = "tmp-"
	damagedPrefix = "damaged-"
	namePrefix    = "checkpoint"
)

// name is a published folder's name.
type name struct {
	index, term uint64
	sequence    uint64 // tells apart checkpoints of one index and term
}

func (n name) String() string {
	return fmt.Sprintf("%s-%d-%d-%d", namePrefix, n.index, n.term, n.sequence)
}

// compare orders names by age, oldest first.
func (n name) compare(o name) int {
	return slices.Compare([]uint64{n.index, n.term, n.sequence}, []uint64{o.index, o.term, o.sequence})
}

func parseName(s string) (name, bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 4 {
		return name{}, false
	}
	var v [3]uint64
	for i := range v {
		v[i], _ = strconv.ParseUint(parts[i+1], 10, 64)
	}
	n := name{v[0], v[1], v[2]}
	return n, n.String() == s
}

// mkdirAll makes a folder and those above it, each durable in its parent.
func mkdirAll(fsys FS, dir string) error {
	err := fsys.Mkdir(dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	parent := filepath.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := mkdirAll(fsys, parent); err != nil {
			return err
		}
		err = fsys.Mkdir(dir)
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(parent)
}
