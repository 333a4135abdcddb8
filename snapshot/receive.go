package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"runtime"
	"slices"

	"lockstep/pagetrie"
)

// receiver takes a checkpoint stream apart as it comes and writes it into a sink's folder. Every part is verified before the
// next one is looked at.
//
// The stream is a row of sections whose lengths are known once the manifest is: header, manifest, table, and for every page
// file its index and then its pages. A section either collects its bytes or takes them as they come.
type receiver struct {
	sink     *Sink
	manifest *Manifest

	offset  int64 // of the next byte in the stream
	section section
	got     []byte   // of a section that collects; pages that are not complete yet
	left    uint64   // bytes of the section still to come
	queue   []func() // the sections behind it

	table hash.Hash
	file  File // under construction: the table or a page file
	entry FileEntry
	index *pageIndex
	page  uint64 // next one of the file, by position
	start int64  // of the file's pages in the stream
}

// section is a part of the stream.
type section struct {
	name string
	// take is given the bytes as they come; nil collects them for end.
	take func(p []byte) error
	// end is called when the section is complete, with the collected bytes.
	end func(b []byte) error
}

func newReceiver(k *Sink) *receiver {
	r := &receiver{sink: k}
	r.begin(streamHeadBytes, section{name: "header", end: r.header})
	return r
}

func (r *receiver) begin(length uint64, s section) { r.section, r.left, r.got = s, length, nil }

// write takes the next bytes of the stream.
func (r *receiver) write(p []byte) error {
	for len(p) > 0 {
		if r.section.name == "" {
			r.section.name = "what follows the last page"
			return r.fault("the stream goes on where it should end")
		}
		n := min(uint64(len(p)), r.left)
		if r.section.take == nil {
			r.got = append(r.got, p[:n]...)
		} else if err := r.section.take(p[:n]); err != nil {
			return err
		}
		r.offset += int64(n)
		r.left -= n
		p = p[n:]
		if err := r.advance(); err != nil {
			return err
		}
	}
	return nil
}

// advance ends the section if it is complete, and any empty ones behind it.
func (r *receiver) advance() error {
	for r.left == 0 && r.section.name != "" {
		done, got := r.section, r.got
		r.section, r.got = section{name: done.name}, nil
		if err := done.end(got); err != nil {
			return err
		}
		if r.section.end != nil {
			continue // end began one itself
		}
		r.section.name = ""
		if len(r.queue) > 0 {
			next := r.queue[0]
			r.queue = r.queue[1:]
			next()
		}
	}
	return nil
}

func (r *receiver) fault(format string, args ...any) error {
	return &StreamFault{Offset: r.offset, Part: r.section.name, Fault: fmt.Sprintf(format, args...)}
}

func (r *receiver) header(b []byte) error {
	version, length := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	switch {
	case string(b[:8]) == ticketMagic:
		return r.sink.redeem(string(b))
	case string(b[:8]) != streamMagic:
		return r.fault("this is no checkpoint stream (wrong magic)")
	case version != streamVersion:
		return r.fault("stream version %d, this program reads version %d", version, streamVersion)
	case length > MaxManifestBytes || length == 0:
		return r.fault("manifest of %d bytes, 1 to %d are allowed", length, MaxManifestBytes)
	}
	r.begin(uint64(length), section{name: "manifest", end: r.decodeManifest})
	return nil
}

func (r *receiver) decodeManifest(b []byte) error {
	m, fault := decodeManifest(b)
	if fault != nil {
		r.offset += fault.offset - int64(len(b))
		return r.fault("%s", fault.fault)
	}
	if err := r.sink.expects(m); err != nil {
		return r.fault("%v", err)
	}
	if len(m.trees()) > 0 {
		return r.fault("the manifest names tree files, a stream has none")
	}
	if n := m.bytes(); n > r.sink.store.config.MaxBytes {
		return r.fault("checkpoint of %d bytes, at most %d are accepted", n, r.sink.store.config.MaxBytes)
	}
	r.manifest = m
	r.queue = append(r.queue, r.beginTable)
	for _, mem := range m.Memories {
		for i, e := range mem.Layers {
			r.queue = append(r.queue, func() { r.beginFile(fmt.Sprintf("memory %q, layer %d", mem.Name, i), e) })
		}
	}
	return nil
}

// expects checks that a received manifest is the one that raft announced, and that it does not lead backwards.
func (k *Sink) expects(m *Manifest) error {
	w := &k.raft
	if m.Index != w.Index || m.Term != w.Term || m.ConfigurationIndex != w.ConfigurationIndex || !slices.Equal(m.Configuration.Servers, w.Configuration.Servers) {
		return fmt.Errorf("it is of index %d, term %d, configuration %d; announced were %d, %d, %d (or other servers)",
			m.Index, m.Term, m.ConfigurationIndex, w.Index, w.Term, w.ConfigurationIndex)
	}
	return k.store.admits(m)
}

func (r *receiver) beginTable() {
	r.table = sha256.New()
	r.table.Write([]byte(tableContext))
	r.begin(r.manifest.TableBytes, section{name: "table", take: r.takeTable, end: r.endTable})
}

func (r *receiver) takeTable(p []byte) error {
	if err := r.create(tableName); err != nil {
		return err
	}
	r.table.Write(p)
	_, err := r.file.WriteAt(p, int64(r.manifest.TableBytes-r.left))
	return err
}

func (r *receiver) endTable([]byte) error {
	if Digest(r.table.Sum(nil)) != r.manifest.TableDigest {
		return r.fault("SHA-256 of the table is not the manifest's")
	}
	if err := r.create(tableName); err != nil { // an empty one
		return err
	}
	return r.finishFile(tableName, tableName)
}

func (r *receiver) beginFile(what string, e FileEntry) {
	r.entry = e
	r.begin(e.indexBytes(), section{name: "page index of " + what, end: func(b []byte) error {
		if err := r.endIndex(b); err != nil {
			return err
		}
		r.page, r.start = 0, r.offset
		r.begin(e.Pages*PageSize, section{name: "pages of " + what, take: r.takePages, end: r.endPages})
		return nil
	}})
}

func (r *receiver) endIndex(b []byte) error {
	start := r.offset - int64(len(b))
	if crc32.Checksum(b, castagnoli) != r.entry.Sum || indexDigest(b) != r.entry.Digest {
		r.offset = start
		return r.fault("the page index is not the one the manifest names")
	}
	x, fault := decodePageIndex(b)
	if fault != nil {
		r.offset = start + fault.offset
		return r.fault("%s", fault.fault)
	}
	if skeletonSum(b[:len(x.ranges)*rangeBytes], b[len(b)-footerBytes:]) != r.entry.Ranges {
		return r.fault("the checksum of the page ranges is not the manifest's")
	}
	if x.pages != r.entry.Pages {
		return r.fault("the index names %d pages, the manifest says %d", x.pages, r.entry.Pages)
	}
	r.index = x
	if err := r.create(unfinishedName); err != nil {
		return err
	}
	_, err := r.file.WriteAt(b, int64(r.entry.Pages*PageSize))
	return err
}

// takePages verifies and writes whole pages; the rest waits in got.
func (r *receiver) takePages(p []byte) error {
	r.got = append(r.got, p...)
	whole := len(r.got) / PageSize * PageSize
	if whole < batchPages*PageSize && uint64(len(p)) < r.left {
		return nil
	}
	return r.writePages(whole)
}

func (r *receiver) writePages(whole int) error {
	check := pageCheck{hash: r.sink.store.config.Hashing.Page, pair: r.sink.store.config.Hashing.Pair, index: r.index, workers: runtime.GOMAXPROCS(0)}
	if bad, fault := check.first(r.page, r.got[:whole]); fault != "" {
		r.offset = r.start + int64(bad*PageSize)
		return r.fault("page %d %s", r.index.page(bad), fault)
	}
	if _, err := r.file.WriteAt(r.got[:whole], int64(r.page*PageSize)); err != nil {
		return err
	}
	r.page += uint64(whole / PageSize)
	r.got = r.got[:copy(r.got, r.got[whole:])]
	return nil
}

func (r *receiver) endPages([]byte) error { return r.finishFile(unfinishedName, r.entry.Name()) }

// create makes the file under construction unless it exists.
func (r *receiver) create(name string) error {
	if r.file != nil {
		return nil
	}
	f, err := r.sink.store.fs.Create(join(r.sink.temp, name))
	if err == nil {
		r.file = f
	}
	return err
}

// finishFile makes the file durable and gives it its name.
func (r *receiver) finishFile(from, to string) error {
	f := r.file
	r.file = nil
	err := f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && from != to {
		err = r.sink.store.fs.Rename(join(r.sink.temp, from), join(r.sink.temp, to))
	}
	return err
}

// finish ends the stream: everything must have come, and the memories must have the roots that the manifest names.
func (r *receiver) finish() error {
	if r.section.name != "" {
		return r.fault("the stream ends early")
	}
	r.section.name = "the received checkpoint"
	err := r.sink.writeManifest(r.manifest)
	if wrong := (*rootError)(nil); IsDamage(err) || errors.As(err, &wrong) { // what came does not fit together
		return r.fault("%v", err)
	}
	if err != nil {
		return err
	}
	for _, e := range r.manifest.Memories {
		m := &MemoryFile{Name: e.Name, Size: e.Size, Root: e.Root}
		if root := m.rootOf(pagetrie.Map{}.Root(nil), r.sink.store.config.Hashing); len(e.Layers) == 0 && root != e.Root {
			return r.fault("%v", &rootError{e.Name, root, e.Root})
		}
	}
	return nil
}

func (r *receiver) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
