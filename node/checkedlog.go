package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// Each entry on a disk has a checksum of its own in raft.Log.Extensions, which Raft leaves to the application. It stays on that
// disk: above CheckedLog and on the way to other replicas an entry has none.
//
//	bytes  value
//	1      entryFormat
//	4      CRC-32C, big endian, of: entryFormat, index (8 bytes, big endian), term (8), type (1), data
//
// AppendedAt is not in it: nothing but a metric reads that.
const (
	entryFormat   = 1
	entrySealSize = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EntryError reports a log entry that is not what was written.
type EntryError struct {
	Index uint64
	// Err says what is wrong with it.
	Err error
}

func (e *EntryError) Error() string {
	return fmt.Sprintf("log entry %d is damaged: %v", e.Index, e.Err)
}

// Unwrap gives the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// checkedLog is what CheckedLog gives.
type checkedLog struct{ raft.LogStore }

// CheckedLog gives every entry a checksum when it is stored in a log, and finds out with it when it is read whether its index, its
// term, its type or its data were damaged where it lay: raft would panic over a configuration, cut off what is committed for a wrong
// term, and send a damaged round to others. Of such an entry, and of one without a checksum, GetLog gives an *EntryError.
func CheckedLog(under raft.LogStore) raft.LogStore { return checkedLog{under} }

// GetLog implements raft.LogStore.
func (c checkedLog) GetLog(index uint64, entry *raft.Log) error {
	if err := c.LogStore.GetLog(index, entry); err != nil {
		return err
	}
	if err := checkEntry(index, entry); err != nil {
		return &EntryError{index, err}
	}
	entry.Extensions = nil
	return nil
}

// StoreLog implements raft.LogStore.
func (c checkedLog) StoreLog(entry *raft.Log) error { return c.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore. The entries are raft's, and its cache's: they stay as they are.
func (c checkedLog) StoreLogs(entries []*raft.Log) error {
	sealed, seals := make([]raft.Log, len(entries)), make([]byte, 0, len(entries)*entrySealSize)
	stored := make([]*raft.Log, len(entries))
	for i, e := range entries {
		if len(e.Extensions) != 0 {
			return fmt.Errorf("entry %d carries %d bytes of extensions, which no entry of this program has", e.Index, len(e.Extensions))
		}
		seals = binary.BigEndian.AppendUint32(append(seals, entryFormat), entryChecksum(e))
		sealed[i], stored[i] = *e, &sealed[i]
		sealed[i].Extensions = seals[len(seals)-entrySealSize : len(seals) : len(seals)]
	}
	return c.LogStore.StoreLogs(stored)
}

func entryChecksum(e *raft.Log) uint32 {
	var head [18]byte
	head[0] = entryFormat
	binary.BigEndian.PutUint64(head[1:], e.Index)
	binary.BigEndian.PutUint64(head[9:], e.Term)
	head[17] = byte(e.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, e.Data)
}

// checkEntry says what is wrong with an entry as it lies on a disk.
func checkEntry(index uint64, e *raft.Log) error {
	switch {
	case e.Index != index:
		return fmt.Errorf("it says that it is entry %d", e.Index)
	case len(e.Extensions) != entrySealSize || e.Extensions[0] != entryFormat:
		return errors.New("it has no checksum")
	case binary.BigEndian.Uint32(e.Extensions[1:]) != entryChecksum(e):
		return errors.New("its checksum is not that of its term, type and data")
	}
	return nil
}
