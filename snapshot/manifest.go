package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"lockstep/pagetrie"

	"github.com/hashicorp/raft"
)

// Digest is the SHA-256 that names a file of a checkpoint, see FileEntry and Manifest.TableDigest.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Manifest says what a checkpoint holds: it is the one file that everything else is checked against. It is written last
// and read first.
type Manifest struct {
	Cluster            string // that the state is of; empty for none
	Index, Term        uint64 // of the last raft log entry in the state
	ConfigurationIndex uint64
	Configuration      raft.Configuration
	Round              uint64        // last round in the state
	Root               pagetrie.Hash // of the whole replicated state after that round
	TableBytes         uint64
	TableDigest        Digest
	Memories           []MemoryEntry // ascending by name, names unique
}

// MemoryEntry is one memory of a checkpoint. Its contents are its layers laid over each other: for a page, the newest layer
// that names it decides; a page that no layer names is zero.
type MemoryEntry struct {
	Name   string
	Size   uint64        // pages; every page named by a layer lies below the size, unless the layer says that it is zero
	Root   pagetrie.Hash // as the state machine gave it
	Layers []FileEntry   // oldest first; none for a memory that is zero all over
}

// FileEntry is one page file.
type FileEntry struct {
	Length uint64 // bytes
	Pages  uint64 // stored in it
	Born   uint64 // raft index of the checkpoint that wrote it first; for people, nothing depends on it
	Sum    uint32 // CRC-32C of the file's index: ten times cheaper than the digest
	Ranges uint32 // CRC-32C of its index without the hashes: what opening checks of it
	Digest Digest // of the file's index, and through the page hashes in it of every byte
	Tree   TreePart
}

// TreePart is where a checkpoint's tree files have the records of a layer: what the memory had, when the layer was its
// newest, in every region that the layer names pages of. None in a stream.
type TreePart struct {
	File  TreeFile
	First uint32 // record in the file
	Count uint32 // of records
}

// TreeFile is a file of tree records, see tree.go.
type TreeFile struct {
	Records uint32
	Digest  Digest // of the file
}

// Name is the file's name in a checkpoint folder.
func (t TreeFile) Name() string { return t.Digest.String() + treeFileSuffix }

// Length is the file's length in bytes.
func (t TreeFile) Length() uint64 { return treeHeadBytes + uint64(t.Records)*treeRecordBytes }

// Name is the file's name in a checkpoint folder. Equal contents have equal names: that is what makes a file shareable
// between checkpoints and between memories.
func (e FileEntry) Name() string { return e.Digest.String() + pageFileSuffix }

// indexBytes is the length of what follows the pages in the file.
func (e FileEntry) indexBytes() uint64 { return e.Length - e.Pages*PageSize }

const (
	manifestMagic      = "LSCHECK\x01"
	manifestHeadBytes  = 144
	memoryEntryBytes   = 48
	fileEntryBytes     = 80
	treeEntryBytes     = 40
	manifestSumContext = "lockstep checkpoint manifest\x00"
)

// encode returns the manifest's bytes as doc.go lays them out. The receiver must be valid.
func (m *Manifest) encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, 4096), manifestMagic...)
	b = le.AppendUint32(b, manifestVersion)
	b = le.AppendUint32(b, 0) // reserved
	b = le.AppendUint64(b, 0) // length, below
	for _, v := range []uint64{m.Index, m.Term, m.ConfigurationIndex, m.Round} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, m.Root[:]...)
	b = le.AppendUint64(b, m.TableBytes)
	b = append(b, m.TableDigest[:]...)
	b = le.AppendUint32(b, PageSize)
	b = le.AppendUint32(b, uint32(len(m.Configuration.Servers)))
	b = le.AppendUint32(b, uint32(len(m.Memories)))
	trees := m.trees()
	b = le.AppendUint32(b, uint32(len(trees)))
	b = appendString(b, m.Cluster)
	for _, s := range m.Configuration.Servers {
		b = append(b, byte(s.Suffrage))
		b = appendString(b, string(s.ID))
		b = appendString(b, string(s.Address))
	}
	number := map[TreeFile]uint32{{}: 0}
	for i, t := range trees {
		number[t] = uint32(i + 1)
		b = le.AppendUint32(b, t.Records)
		b = le.AppendUint32(b, 0) // reserved
		b = append(b, t.Digest[:]...)
	}
	for i := range m.Memories {
		b = m.Memories[i].append(b, number)
	}
	le.PutUint64(b[16:], uint64(len(b)+sha256.Size))
	sum := manifestSum(b)
	return append(b, sum[:]...)
}

// trees are the tree files that the layers name, in the order in which they first do.
func (m *Manifest) trees() []TreeFile {
	var all []TreeFile
	seen := map[TreeFile]bool{{}: true}
	for _, e := range m.Memories {
		for _, f := range e.Layers {
			if !seen[f.Tree.File] {
				seen[f.Tree.File] = true
				all = append(all, f.Tree.File)
			}
		}
	}
	return all
}

func (e *MemoryEntry) append(b []byte, trees map[TreeFile]uint32) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, e.Size)
	b = append(b, e.Root[:]...)
	b = le.AppendUint32(b, uint32(len(e.Layers)))
	b = le.AppendUint32(b, uint32(len(e.Name)))
	b = append(b, e.Name...)
	for _, f := range e.Layers {
		b = le.AppendUint64(b, f.Length)
		b = le.AppendUint64(b, f.Pages)
		b = le.AppendUint64(b, f.Born)
		b = le.AppendUint32(b, f.Sum)
		b = le.AppendUint32(b, f.Ranges)
		b = append(b, f.Digest[:]...)
		for _, v := range []uint32{trees[f.Tree.File], f.Tree.First, f.Tree.Count, 0} {
			b = le.AppendUint32(b, v)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func manifestSum(body []byte) Digest { return sumWithContext(manifestSumContext, body) }

func sumWithContext(context string, parts ...[]byte) Digest {
	h := sha256.New()
	h.Write([]byte(context))
	for _, p := range parts {
		h.Write(p)
	}
	return Digest(h.Sum(nil))
}

// validate reports the first thing in m that the format cannot hold. Both encoder and decoder ask it.
func (m *Manifest) validate() error {
	if m.TableBytes > MaxTableBytes {
		return fmt.Errorf("table has %d bytes, at most %d are allowed", m.TableBytes, MaxTableBytes)
	}
	if len(m.Cluster) > MaxNameBytes {
		return fmt.Errorf("the cluster's name has %d bytes, at most %d are allowed", len(m.Cluster), MaxNameBytes)
	}
	if n := len(m.Configuration.Servers); n > MaxServers {
		return fmt.Errorf("raft configuration has %d servers, at most %d are allowed", n, MaxServers)
	}
	for _, s := range m.Configuration.Servers {
		if len(s.ID) > MaxServerBytes || len(s.Address) > MaxServerBytes || s.Suffrage < 0 || s.Suffrage > raft.Staging {
			return fmt.Errorf("raft server %.64q is out of bounds (identifier or address over %d bytes, or unknown suffrage)", s.ID, MaxServerBytes)
		}
	}
	if len(m.Memories) > MaxMemories {
		return fmt.Errorf("checkpoint has %d memories, at most %d are allowed", len(m.Memories), MaxMemories)
	}
	for i := range m.Memories {
		if i > 0 && m.Memories[i].Name <= m.Memories[i-1].Name {
			return fmt.Errorf("memory %q does not follow %q: names must ascend", m.Memories[i].Name, m.Memories[i-1].Name)
		}
		if err := m.Memories[i].validate(); err != nil {
			return fmt.Errorf("memory %q: %w", m.Memories[i].Name, err)
		}
	}
	return nil
}

func (e *MemoryEntry) validate() error {
	if len(e.Name) == 0 || len(e.Name) > MaxNameBytes {
		return fmt.Errorf("name has %d bytes, 1 to %d are allowed", len(e.Name), MaxNameBytes)
	}
	if e.Size > MaxMemoryPages {
		return fmt.Errorf("size is %d pages, at most %d are allowed", e.Size, MaxMemoryPages)
	}
	if len(e.Layers) > MaxLayers {
		return fmt.Errorf("%d layers, at most %d are allowed", len(e.Layers), MaxLayers)
	}
	for i, f := range e.Layers {
		if f.Pages > MaxMemoryPages {
			return fmt.Errorf("layer %d stores %d pages, at most %d are allowed", i, f.Pages, MaxMemoryPages)
		}
		least := f.Pages*(PageSize+hashBytes) + footerBytes
		most := least + 2*MaxMemoryPages*rangeBytes
		if f.Length < least || f.Length > most {
			return fmt.Errorf("layer %d with %d pages has %d bytes, %d to %d are possible", i, f.Pages, f.Length, least, most)
		}
		if t := f.Tree; uint64(t.First)+uint64(t.Count) > uint64(t.File.Records) || (t.Count == 0) != (t.File == TreeFile{}) {
			return fmt.Errorf("layer %d has %d tree records from %d on, in a file of %d", i, t.Count, t.First, t.File.Records)
		}
	}
	return nil
}

// bytes is the size of everything in the folder, files shared with other checkpoints included.
func (m *Manifest) bytes() uint64 {
	total := m.TableBytes
	for _, e := range m.Memories {
		for _, f := range e.Layers {
			total += f.Length
		}
	}
	for _, t := range m.trees() {
		total += t.Length()
	}
	return total
}
