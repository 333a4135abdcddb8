package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// decodeError is a fault at an offset of a decoded buffer; callers turn it into a Damage or a StreamFault.
type decodeError struct {
	offset int64
	fault  string
}

func (e *decodeError) Error() string { return fmt.Sprintf("offset %d: %s", e.offset, e.fault) }

// decodeManifest reads what encode wrote. It accepts only the one encoding of a valid manifest.
func decodeManifest(b []byte) (*Manifest, *decodeError) {
	if err := checkManifestFrame(b); err != nil {
		return nil, err
	}
	body := len(b) - sha256.Size
	c := &cursor{b: b[:body], off: 24}
	m := &Manifest{Index: c.u64(), Term: c.u64(), ConfigurationIndex: c.u64(), Round: c.u64()}
	c.copy(m.Root[:])
	m.TableBytes = c.u64()
	c.copy(m.TableDigest[:])
	if size := c.u32(); c.err == nil && size != PageSize {
		c.fail(c.off-4, "pages of %d bytes, only %d is supported", size, PageSize)
	}
	servers := c.count(MaxServers, 5, "servers")
	memories := c.count(MaxMemories, memoryEntryBytes+1, "memories")
	files := c.count(MaxMemories*MaxLayers, treeEntryBytes, "tree files")
	m.Cluster = string(c.take(int(c.u16())))
	for range servers {
		m.Configuration.Servers = append(m.Configuration.Servers, c.server())
	}
	trees := []TreeFile{{}}
	for range files {
		t := TreeFile{Records: c.u32()}
		c.reserved()
		c.copy(t.Digest[:])
		trees = append(trees, t)
	}
	for range memories {
		if c.err != nil {
			break
		}
		m.Memories = append(m.Memories, c.memory(trees))
	}
	if c.err == nil && !slices.Equal(m.trees(), trees[1:]) {
		c.fail(manifestHeadBytes, "the tree files are not those of the layers, in their order")
	}
	if c.err == nil && c.off != body {
		c.fail(c.off, "%d bytes follow the last memory", body-c.off)
	}
	if c.err == nil {
		if err := m.validate(); err != nil {
			c.fail(manifestHeadBytes, "%v", err)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return m, nil
}

// checkManifestFrame checks what must hold before a field may be believed: magic, version, length, checksum.
func checkManifestFrame(b []byte) *decodeError {
	if len(b) < manifestHeadBytes+sha256.Size {
		return &decodeError{int64(len(b)), "the manifest ends early"}
	}
	if string(b[:8]) != manifestMagic {
		return &decodeError{0, "this is no checkpoint manifest (wrong magic)"}
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != manifestVersion {
		return &decodeError{8, fmt.Sprintf("format version %d, this program reads version %d", v, manifestVersion)}
	}
	if binary.LittleEndian.Uint32(b[12:]) != 0 {
		return &decodeError{12, "reserved field is not zero"}
	}
	if n := binary.LittleEndian.Uint64(b[16:]); n != uint64(len(b)) {
		return &decodeError{16, fmt.Sprintf("the manifest says it has %d bytes, there are %d", n, len(b))}
	}
	body := len(b) - sha256.Size
	if manifestSum(b[:body]) != Digest(b[body:]) {
		return &decodeError{0, "checksum of the manifest is wrong"}
	}
	return nil
}

// cursor reads fields in order and remembers the first fault; after one it yields zeros.
type cursor struct {
	b   []byte
	off int
	err *decodeError
}

func (c *cursor) fail(off int, format string, args ...any) {
	if c.err == nil {
		c.err = &decodeError{int64(off), fmt.Sprintf(format, args...)}
	}
}

// take returns the next n bytes of the buffer itself, or nil.
func (c *cursor) take(n int) []byte {
	if c.err == nil && n > len(c.b)-c.off {
		c.fail(c.off, "%d bytes wanted, %d are left", n, len(c.b)-c.off)
	}
	if c.err != nil {
		return nil
	}
	c.off += n
	return c.b[c.off-n : c.off]
}

func (c *cursor) copy(to []byte) { copy(to, c.take(len(to))) }

func (c *cursor) u16() uint16 {
	if p := c.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if p := c.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (c *cursor) reserved() {
	if v := c.u32(); v != 0 {
		c.fail(c.off-4, "reserved field is not zero")
	}
}

// count reads a number of elements, each of at least size bytes, that must be within the limit and fit in what is left.
func (c *cursor) count(limit, size int, what string) int {
	n := c.u32()
	if c.err == nil && (uint64(n) > uint64(limit) || uint64(n)*uint64(size) > uint64(len(c.b)-c.off)) {
		c.fail(c.off-4, "%d %s: at most %d are allowed, %d bytes are left", n, what, limit, len(c.b)-c.off)
	}
	if c.err != nil {
		return 0
	}
	return int(n)
}

func (c *cursor) server() raft.Server {
	var suffrage byte
	if p := c.take(1); p != nil {
		suffrage = p[0]
	}
	id := string(c.take(int(c.u16())))
	address := string(c.take(int(c.u16())))
	return raft.Server{Suffrage: raft.ServerSuffrage(suffrage), ID: raft.ServerID(id), Address: raft.ServerAddress(address)}
}

func (c *cursor) memory(trees []TreeFile) MemoryEntry {
	e := MemoryEntry{Size: c.u64()}
	c.copy(e.Root[:])
	layers := c.count(MaxLayers, fileEntryBytes, "layers")
	e.Name = string(c.take(c.count(MaxNameBytes, 1, "bytes of name")))
	for range layers {
		f := FileEntry{Length: c.u64(), Pages: c.u64(), Born: c.u64(), Sum: c.u32(), Ranges: c.u32()}
		c.copy(f.Digest[:])
		if file := c.u32(); uint64(file) < uint64(len(trees)) {
			f.Tree.File = trees[file]
		} else {
			c.fail(c.off-4, "tree file %d of %d", file, len(trees)-1)
		}
		f.Tree.First, f.Tree.Count = c.u32(), c.u32()
		c.reserved()
		e.Layers = append(e.Layers, f)
	}
	return e
}
