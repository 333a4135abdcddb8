package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Transfer brings a checkpoint from a peer with as few bytes as possible: it uses what the newest checkpoint here and earlier
// attempts have. It is not part of raft's contract. A transport that carries raft's InstallSnapshot may use it to fetch what is
// missing and then hand raft the very stream that the leader's Reader would have given: Transfer.Reader.
//
//	BeginTransfer ─▶ Have ── to the peer ──▶ WriteDelta ── from the peer ──▶ Receive ─▶ Reader or Publish ─▶ Close
//
// Pages received are kept in a log that survives a restart of the process, so that a later attempt goes on. A Transfer is used
// by one goroutine; a Store has at most one.
type Transfer struct {
	store  *Store
	base   *Checkpoint // nil: there is none
	pages  *pageLog
	sink   *Sink       // from Receive on
	result *Checkpoint // in the sink's folder
}

// Progress says how far Receive is.
type Progress struct {
	Bytes, Total uint64 // as the peer announced; for people
	Pages        uint64 // received and verified
}

// BeginTransfer opens what the store has.
func (s *Store) BeginTransfer() (*Transfer, error) {
	log, err := openPageLog(s.fs, s.config)
	if err != nil {
		return nil, fmt.Errorf("begin transfer: %w", err)
	}
	return &Transfer{store: s, base: s.base(), pages: log}, nil
}

// Have describes what is there.
func (t *Transfer) Have() *Have {
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
	m.Layers = append(m.Layers, &PageFile{index: t.pages.index(name)})
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

// Receive reads a delta that a peer made for Have and assembles the checkpoint. Each page is verified before it is kept; all of
// it is verified before Receive returns. admit is asked about the manifest before anything else is read: it is where the caller
// holds index, term and root against what it knows. progress may be nil. After an error the pages received stay for the next
// attempt.
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
	if t.sink, err = t.store.newSink(Manifest{Index: m.Index, Term: m.Term, ConfigurationIndex: m.ConfigurationIndex, Configuration: m.Configuration}); err != nil {
		return err
	}
	if err := t.assemble(d, m); err != nil {
		return errors.Join(fmt.Errorf("receive checkpoint: %w", err), t.sink.Cancel())
	}
	t.sink.written, t.sink.merged = true, true
	t.result, err = openFolder(t.store.fs, t.sink.temp)
	return err
}

func (t *Transfer) admit(m *Manifest, admit func(*Manifest) error) error {
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
	table, err := d.bytes(m.TableBytes, "table")
	if err != nil {
		return err
	}
	if tableDigest(table) != m.TableDigest {
		return d.fault("SHA-256 of the table is not the manifest's")
	}
	if err := t.sink.writeFile(tableName, table); err != nil {
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

// memory receives the pages that are missing and returns the memory's layers.
func (t *Transfer) memory(d *deltaReader, e MemoryEntry) ([]FileEntry, error) {
	delta, err := d.index(e)
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
	top := overlay([]*pageIndex{t.pages.index(e.Name), delta.zeroOnly()}, 0)
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

// Reader streams the received checkpoint. Its bytes are those that a Reader of the peer that sent it gives.
func (t *Transfer) Reader() (io.Reader, int64) { return t.result.newStream(t.store.config.Hashing) }

// Publish puts the received checkpoint into the store. It must not be called while a raft runs that does not know of it.
func (t *Transfer) Publish() (id string, err error) {
	if t.result == nil {
		return "", errors.New("publish checkpoint: nothing was received")
	}
	if err := t.sink.Close(); err != nil {
		return "", err
	}
	return t.sink.ID(), t.pages.remove()
}

// Close ends the transfer. What was received but not published stays for another one as pages only.
func (t *Transfer) Close() error {
	var errs []error
	if t.result != nil {
		errs = append(errs, t.result.Close())
	}
	if t.sink != nil {
		errs = append(errs, t.sink.Cancel())
	}
	t.store.unpin(t.base)
	return errors.Join(append(errs, t.pages.close())...)
}

// deltaReader reads the parts of a delta and knows where it is.
type deltaReader struct {
	r        io.Reader
	offset   int64
	total    uint64
	pages    uint64
	part     string
	progress func(Progress)
}

func (d *deltaReader) fault(format string, args ...any) error {
	return &StreamFault{Offset: d.offset, Part: d.part, Fault: fmt.Sprintf(format, args...)}
}

// bytes reads n bytes. Space is taken as they arrive, not as they are announced.
func (d *deltaReader) bytes(n uint64, part string) ([]byte, error) {
	d.part = part
	var b []byte
	for uint64(len(b)) < n {
		piece := int(min(n-uint64(len(b)), writeBufferBytes))
		b = slices.Grow(b, piece)
		got, err := io.ReadFull(d.r, b[len(b):len(b)+piece])
		b = b[:len(b)+got]
		d.offset += int64(got)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, d.fault("the stream ends early")
		}
		if err != nil {
			return nil, fmt.Errorf("receive %s at offset %d: %w", part, d.offset, err)
		}
	}
	if d.progress != nil {
		d.progress(Progress{Bytes: uint64(d.offset), Total: d.total, Pages: d.pages})
	}
	return b, nil
}

func (d *deltaReader) manifest() (*Manifest, error) {
	head, err := d.bytes(deltaHeadBytes, "header")
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[16:])
	if string(head[:8]) != deltaMagic || n == 0 || n > MaxManifestBytes {
		return nil, d.fault("this is no checkpoint delta (wrong magic or length)")
	}
	d.total = binary.LittleEndian.Uint64(head[8:]) + 16
	b, err := d.bytes(uint64(n), "manifest")
	if err != nil {
		return nil, err
	}
	m, fault := decodeManifest(b)
	if fault != nil {
		return nil, d.fault("%v", fault)
	}
	return m, nil
}

func (d *deltaReader) index(e MemoryEntry) (*pageIndex, error) {
	b, err := d.bytes(8, fmt.Sprintf("page index of memory %q", e.Name))
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > footerBytes+MaxMemoryPages*(hashBytes+2*rangeBytes) {
		return nil, d.fault("index of %d bytes", n)
	}
	if b, err = d.bytes(n, d.part); err != nil {
		return nil, err
	}
	x, fault := decodePageIndex(b)
	if fault != nil {
		return nil, d.fault("%v", fault)
	}
	return x, nil
}

// matches holds what will be assembled against the manifest.
func (d *deltaReader) matches(m *MemoryFile, e MemoryEntry) error {
	digest := Digest{}
	if len(m.extents) > 0 {
		digest = indexDigest(m.flatIndex().encode())
	}
	want := Digest{}
	if len(e.Layers) > 0 {
		want = e.Layers[0].Digest
	}
	if digest != want || len(e.Layers) > 1 {
		return d.fault("what is here and what is sent do not make the announced memory; ask for all of it")
	}
	return nil
}
