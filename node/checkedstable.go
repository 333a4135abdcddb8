package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// Each value that Raft keeps beside its log lies on the disk behind a checksum:
//
//	bytes  value
//	1      stableFormat
//	4      CRC-32C, big endian, of: stableFormat, length of the key (1 byte), key, value
//	       value; a number is 8 bytes, big endian
//
// All of stableKeys are there before the log has its first entry, so that one that is lost is noticed too.
const (
	stableFormat   = 1
	stableSealSize = 5
)

// installedKey is where the index of the newest checkpoint is that a leader was told is here.
var installedKey = []byte("LockstepInstalled")

// What Raft keeps, by its names.
var (
	termKey     = []byte("CurrentTerm")
	voteTermKey = []byte("LastVoteTerm")
	voteKey     = []byte("LastVoteCand")
)

// stableKeys are the values beside the log but for the term, which is written last. Their first values are nobody, and numbers that are 0.
var (
	stableKeys  = [][]byte{voteKey, voteTermKey, installedKey}
	firstValues = map[string][]byte{string(voteTermKey): make([]byte, 8), string(installedKey): make([]byte, 8)}
)

// StableError reports a value beside the log, such as the term or the vote, that is not what was written. A replica that went on with
// it could vote a second time in a term.
type StableError struct {
	Key string
	// Err says what is wrong with it.
	Err error
}

func (e *StableError) Error() string {
	return fmt.Sprintf("value %s beside the log is damaged: %v", e.Key, e.Err)
}

// Unwrap gives the cause.
func (e *StableError) Unwrap() error { return e.Err }

// checkedStable is what CheckedStable gives.
type checkedStable struct{ under raft.StableStore }

// CheckedStable gives every value a checksum when it is stored, and finds out with it when it is read whether it was damaged where it
// lay. Of such a value Get and GetUint64 give a *StableError. Only under's Set and Get are called.
func CheckedStable(under raft.StableStore) raft.StableStore { return checkedStable{under} }

// Set implements raft.StableStore.
func (c checkedStable) Set(key, value []byte) error {
	sealed := binary.BigEndian.AppendUint32([]byte{stableFormat}, stableChecksum(key, value))
	return c.under.Set(key, append(sealed, value...))
}

// Get implements raft.StableStore.
func (c checkedStable) Get(key []byte) ([]byte, error) {
	sealed, err := c.under.Get(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < stableSealSize || sealed[0] != stableFormat {
		return nil, &StableError{string(key), errors.New("it has no checksum")}
	}
	value := sealed[stableSealSize:]
	if binary.BigEndian.Uint32(sealed[1:]) != stableChecksum(key, value) {
		return nil, &StableError{string(key), errors.New("its checksum is another one")}
	}
	return value, nil
}

// SetUint64 implements raft.StableStore.
func (c checkedStable) SetUint64(key []byte, value uint64) error {
	return c.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (c checkedStable) GetUint64(key []byte) (uint64, error) {
	value, err := c.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, &StableError{string(key), fmt.Errorf("%d bytes are no number", len(value))}
	}
	return binary.BigEndian.Uint64(value), nil
}

func stableChecksum(key, value []byte) uint32 {
	head := append([]byte{stableFormat, byte(len(key))}, key...)
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, value)
}

// isMissing reports whether a stable store has no such value. Raft too knows it by the text.
func isMissing(err error) bool { return err != nil && err.Error() == "not found" }

// foundStable writes the first values of a replica that never had a term. Of one that had, as lived says or a term that is there,
// nothing may be missing: it is a *StableError.
func foundStable(stable raft.StableStore, lived bool) error {
	_, err := stable.GetUint64(termKey)
	switch {
	case isMissing(err) && lived:
		return &StableError{string(termKey), errors.New("it is gone")}
	case err != nil && !isMissing(err):
		return err
	}
	began := err == nil
	for _, key := range stableKeys {
		_, err := stable.Get(key)
		switch {
		case isMissing(err) && began:
			return &StableError{string(key), errors.New("it is gone")}
		case isMissing(err):
			err = stable.Set(key, firstValues[string(key)])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
