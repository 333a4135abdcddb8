package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// Transfer brings a checkpoint from a peer with as few bytes as possible: it uses what the newest checkpoint here and earlier
// attempts have. Raft's contract does not know it. A transport that carries raft's InstallSnapshot fetches what is missing
// and hands raft a ticket in place of the stream: a Sink that is written the ticket holds the checkpoint.
//
//	BeginTransfer ─▶ Have ── to the peer ──▶ WriteDelta ── from the peer ──▶ Receive ─▶ Ticket ── raft ──▶ Sink ─▶ Close
//
// Pages received are kept in a log that survives a restart of the process, so that a later attempt goes on. A Transfer is used
// by one goroutine; a Store has at most one that is open.
type Transfer struct {
	store  *Store
	base   *Checkpoint // nil: there is none, or it is not used
	pages  *pageLog
	sink   *Sink       // from Receive on
	result *Checkpoint // in the sink's folder, from a Receive without error on
	ticket string      // from Ticket on
	taken  *Sink       // the sink that was written the ticket; guarded by store.mu
}

// Progress says how far Receive is.
type Progress struct {
	Bytes, Total uint64 // as the peer announced; for people
	Pages        uint64 // received and verified
}

// BeginTransfer opens what the store has. Close is needed.
func (s *Store) BeginTransfer() (*Transfer, error) {
	s.mu.Lock()
	busy := s.receiving
	s.receiving = true
	s.mu.Unlock()
	if busy {
		return nil, errors.New("begin transfer: another one is open")
	}
	log, err := openPageLog(s.fs, s.config)
	if err != nil {
		s.endTransfer()
		return nil, fmt.Errorf("begin transfer: %w", err)
	}
	return &Transfer{store: s, base: s.base(), pages: log}, nil
}

func (s *Store) endTransfer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiving = false
}

// Have describes what is there, in at most limit bytes. What takes more is not used: the peer will send everything.
func (t *Transfer) Have(limit int64) (*Have, error) {
	h := t.have()
	if h.bytes() <= limit {
		return h, nil
	}
	t.store.unpin(t.base)
	t.base = nil
	if err := t.pages.forget(); err != nil {
		return nil, fmt.Errorf("begin transfer: %w", err)
	}
	return t.have(), nil
}

func (t *Transfer) have() *Have {
	h := &Have{memories: map[string]*haveMemory{}}
	names := map[string]bool{}
	for name := range t.pages.memories {
		names[name] = true
	}
	if t.base != nil {
		for _, m := range t.base.Memories {
			names[m.Name] = true
		}
	}
	for name := range names {
		m := t.combine(name, nil)
		have := &haveMemory{}
		for page, ref := range m.Pages() {
			have.add(page, m.Hash(ref))
		}
		h.memories[name] = have
	}
	return h
}

// baseLayers are the files of a memory that a new checkpoint can build on.
func (t *Transfer) baseLayers(name string) []*PageFile {
	if t.base == nil {
		return nil
	}
	m := t.base.Memory(name)
	if m == nil || len(m.Layers) == MaxLayers {
		return nil
	}
	return m.Layers
}

// combine lays over each other what the base, the log and, if not nil, an index from the peer say about a memory.
func (t *Transfer) combine(name string, delta *pageIndex) *MemoryFile {
	m := &MemoryFile{Name: name, Layers: slices.Clone(t.baseLayers(name))}
	m.Layers = append(m.Layers, &PageFile{index: t.pages.indexOf(name)})
	if delta != nil {
		m.Layers = append(m.Layers, &PageFile{index: delta})
	}
	var indexes []*pageIndex
	for _, l := range m.Layers {
		indexes = append(indexes, l.index)
	}
	m.extents = stored(overlay(indexes, 0))
	return m
}

// Receive reads a delta that a peer made for Have and assembles the checkpoint. Each page is verified before it is kept; every
// byte of the checkpoint, also of what was here before, is verified before Receive returns. admit is asked about the manifest
// before anything else is read: it is where the caller holds index, term and root against what it knows. progress may be nil.
//
// After an error the pages received stay for the next attempt. If what was here before is damaged, the checkpoint that it
// belongs to is set aside, and the next attempt does without.
func (t *Transfer) Receive(r io.Reader, admit func(*Manifest) error, progress func(Progress)) error {
	if t.sink != nil {
		return errors.New("receive checkpoint: the transfer has been used")
	}
	d := &deltaReader{r: r, progress: progress}
	m, err := d.manifest()
	if err == nil {
		err = t.admit(m, admit)
	}
	if err != nil {
		return err
	}
	if t.sink, err = t.store.newTransferSink(m); err != nil {
		return err
	}
	if err = t.pages.retain(m); err == nil {
		err = errors.Join(t.assemble(d, m), t.pages.flush())
	}
	if err == nil {
		err = t.verify()
	}
	d.tell()
	if err != nil {
		return errors.Join(fmt.Errorf("receive checkpoint: %w", err), t.sink.Cancel())
	}
	return nil
}

// verify opens what was assembled and reads all of it.
func (t *Transfer) verify() error {
	c, err := openFolder(t.store.fs, t.sink.temp)
	if err != nil {
		return err
	}
	if _, err = verify(t.store.fs, c, t.store.config.Hashing); err != nil {
		return errors.Join(t.blameBase(err), c.Close())
	}
	t.result = c
	return nil
}

// blameBase sets the base aside if the damage is in a file that came from it.
func (t *Transfer) blameBase(err error) error {
	var d *Damage
	if !errors.As(err, &d) || t.base == nil {
		return err
	}
	for _, m := range t.base.Memories {
		for _, l := range m.Layers {
			if l.Entry.Name() == filepath.Base(d.File) {
				return t.store.blame(t.base.ID, err)
			}
		}
	}
	return err
}

// newTransferSink makes the folder in which a transfer assembles. It has no name yet: that is the business of the sink that
// takes the ticket.
func (s *Store) newTransferSink(m *Manifest) (*Sink, error) {
	k := &Sink{store: s, temp: join(s.config.Dir, tempPrefix+"transfer"), raft: *m}
	if err := removeAll(s.fs, k.temp); err != nil {
		return nil, fmt.Errorf("receive checkpoint: %w", err)
	}
	if err := s.fs.Mkdir(k.temp); err != nil {
		return nil, fmt.Errorf("receive checkpoint: %w", err)
	}
	return k, nil
}

func (t *Transfer) admit(m *Manifest, admit func(*Manifest) error) error {
	if len(m.trees()) > 0 {
		return errors.New("the manifest names tree files, a transfer has none")
	}
	if n := m.bytes(); n > t.store.config.MaxBytes {
		return fmt.Errorf("checkpoint of %d bytes, at most %d are accepted", n, t.store.config.MaxBytes)
	}
	if err := t.store.admits(m); err != nil {
		return err
	}
	return admit(m)
}

// assemble writes the folder.
func (t *Transfer) assemble(d *deltaReader, m *Manifest) error {
	local := *m
	local.Memories = nil
	if err := t.table(d, m); err != nil {
		return err
	}
	for _, e := range m.Memories {
		layers, err := t.memory(d, e)
		if err != nil {
			return fmt.Errorf("memory %q: %w", e.Name, err)
		}
		e.Layers = layers
		local.Memories = append(local.Memories, e)
	}
	return t.sink.writeManifest(&local)
}

// table receives the state's table piece by piece: it may be large.
func (t *Transfer) table(d *deltaReader, m *Manifest) error {
	f, err := t.store.fs.Create(join(t.sink.temp, tableName))
	if err != nil {
		return err
	}
	sum := sha256.New()
	sum.Write([]byte(tableContext))
	for off := uint64(0); off < m.TableBytes && err == nil; {
		var b []byte
		if b, err = d.bytes(min(m.TableBytes-off, batchPages*PageSize), "table"); err == nil {
			sum.Write(b)
			_, err = f.WriteAt(b, int64(off))
			off += uint64(len(b))
		}
	}
	if err == nil && Digest(sum.Sum(nil)) != m.TableDigest {
		err = d.fault("SHA-256 of the table is not the manifest's")
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// memory receives the pages that are missing and returns the memory's layers.
func (t *Transfer) memory(d *deltaReader, e MemoryEntry) ([]FileEntry, error) {
	delta, err := d.index(e, t.combine(e.Name, nil).Len())
	if err != nil {
		return nil, err
	}
	whole := t.combine(e.Name, delta)
	if err := d.matches(whole, e); err != nil {
		return nil, err
	}
	for position := range delta.pages {
		b, err := d.bytes(PageSize, fmt.Sprintf("pages of memory %q", e.Name))
		if err != nil {
			return nil, err
		}
		hash := delta.hash(position)
		if fault := checkPage(b, hash, t.store.config.Hashing.Page); fault != "" {
			return nil, d.fault("page %d %s", delta.page(position), fault)
		}
		if err := t.pages.add(e.Name, delta.page(position), Page{hash, b}); err != nil {
			return nil, err
		}
		d.pages++
	}
	return t.layers(e, delta)
}

// layers writes what the base lacks as one file.
func (t *Transfer) layers(e MemoryEntry, delta *pageIndex) ([]FileEntry, error) {
	var entries []FileEntry
	var err error
	base := t.baseLayers(e.Name)
	if len(base) > 0 {
		if entries, err = t.sink.linkLayers(t.base.Dir, base); err != nil {
			return nil, err
		}
	}
	// Whatever comes from above the base is in the log by now.
	if err := t.pages.flush(); err != nil {
		return nil, err
	}
	top := overlay([]*pageIndex{t.pages.indexOf(e.Name), delta.zeroOnly()}, 0)
	if len(base) == 0 {
		top = stored(top)
	}
	if len(top) == 0 {
		return entries, nil
	}
	w, err := newPageFileWriter(t.store.fs, t.sink.temp, unfinishedName)
	if err != nil {
		return nil, err
	}
	for _, x := range top {
		if err := t.copyTop(w, e.Name, x); err != nil {
			return nil, abort(w, err)
		}
	}
	f, err := w.finish(t.sink.raft.Index)
	if err != nil {
		return nil, err
	}
	return append(entries, f), nil
}

func (t *Transfer) copyTop(w *pageFileWriter, name string, x extent) error {
	for page := x.first; page < x.end(); page++ {
		if x.zero {
			if err := w.addZero(page); err != nil {
				return err
			}
			continue
		}
		p, err := t.pages.read(name, page)
		if err != nil {
			return err
		}
		if err := w.add(page, p); err != nil {
			return err
		}
	}
	return nil
}

// zeroOnly is the index with only what it declares zero.
func (x *pageIndex) zeroOnly() *pageIndex {
	z := &pageIndex{zeros: x.zeros}
	for _, r := range x.ranges {
		if r.zero {
			z.ranges = append(z.ranges, pageRange{first: r.first, count: r.count, zero: true})
		}
	}
	return z
}

// Close ends the transfer. If the checkpoint was published the pages kept for it go; otherwise they stay for another attempt.
func (t *Transfer) Close() error {
	var errs []error
	if t.result != nil {
		errs = append(errs, t.result.Close())
	}
	if t.redeemed() {
		errs = append(errs, t.pages.remove())
	}
	if t.sink != nil {
		errs = append(errs, t.sink.Cancel()) // nothing to do for one whose folder was taken
	}
	t.store.unpin(t.base)
	errs = append(errs, t.pages.close())
	t.store.endTransfer()
	return errors.Join(errs...)
}
