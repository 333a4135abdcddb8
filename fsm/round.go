package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"

	"lockstep/pagetrie"
)

// RoundNumber counts the rounds of a cluster from 1; 0 is the empty state before the first.
type RoundNumber uint64

// Round is one Raft log entry: an ordered batch of messages with the time at which the leader cut it.
type Round struct {
	_ struct{} `cbor:",toarray"`

	// Time is the leader's clock in nanoseconds since the Unix epoch. The state machine makes it strictly increasing.
	Time int64
	// Attested is the newest round that the leader had applied, and the root it found. Every replica compares it with
	// its own; it never reaches the state.
	Attested Attestation
	Messages []Message
}

// Attestation is a replica's word that the state after a round has a root. The zero value attests nothing.
type Attestation struct {
	_ struct{} `cbor:",toarray"`

	Round RoundNumber   `json:"round"`
	Root  pagetrie.Hash `json:"root"`
}

// The frame around an encoded round:
//
//	offset  size  field     meaning
//	0       4     magic     "LSRD"
//	4       1     version   roundVersion
//	5       4     checksum  CRC-32C of the payload, little endian
//	9       …     payload   the Round as deterministic CBOR (RFC 8949 §4.2), structs as arrays
//
// The checksum is there because the log store keeps none of its own.
const (
	roundMagic       = "LSRD"
	roundVersion     = 2
	roundHeaderBytes = 9
)

// Limits of one encoded round.
const (
	// MaxRoundBytes bounds the encoded round; a round always has room for one message of the largest kind.
	MaxRoundBytes = MaxModuleBytes + MaxArgBytes + (1 << 20)
	// MaxRoundMessages bounds the number of messages of a round.
	MaxRoundMessages = 65536
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	encMode    = mustEncMode()
	decMode    = mustDecMode()
)

func mustEncMode() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}

func mustDecMode() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 20,
		MaxMapPairs:       16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}

// Encode gives the bytes of the log entry.
func (r *Round) Encode() ([]byte, error) {
	payload, err := encMode.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode round: %w", err)
	}
	if len(payload)+roundHeaderBytes > MaxRoundBytes {
		return nil, fmt.Errorf("encode round: %d bytes, at most %d are allowed", len(payload)+roundHeaderBytes, MaxRoundBytes)
	}
	out := make([]byte, roundHeaderBytes, roundHeaderBytes+len(payload))
	copy(out, roundMagic)
	out[4] = roundVersion
	binary.LittleEndian.PutUint32(out[5:], crc32.Checksum(payload, castagnoli))
	return append(out, payload...), nil
}

// ErrBadRound marks a log entry that is no round: damaged on disk, or written by another program or version.
var ErrBadRound = errors.New("log entry is not a readable round")

// checkRound tells a log entry that was damaged by its header and checksum, without reading the messages. Errors wrap ErrBadRound.
func checkRound(data []byte) error {
	switch {
	case len(data) < roundHeaderBytes:
		return fmt.Errorf("%w: %d bytes, shorter than its header", ErrBadRound, len(data))
	case len(data) > MaxRoundBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrBadRound, len(data), MaxRoundBytes)
	case string(data[:4]) != roundMagic:
		return fmt.Errorf("%w: begins with %x, not with %q", ErrBadRound, data[:4], roundMagic)
	case data[4] != roundVersion:
		return fmt.Errorf("%w: format version %d, this program reads version %d", ErrBadRound, data[4], roundVersion)
	}
	want, got := binary.LittleEndian.Uint32(data[5:]), crc32.Checksum(data[roundHeaderBytes:], castagnoli)
	if want != got {
		return fmt.Errorf("%w: checksum %08x, the header says %08x", ErrBadRound, got, want)
	}
	return nil
}

// DecodeRound reads a log entry. Errors wrap ErrBadRound. The messages do not share memory with data.
func DecodeRound(data []byte) (*Round, error) {
	if err := checkRound(data); err != nil {
		return nil, err
	}
	round := new(Round)
	if err := decMode.Unmarshal(data[roundHeaderBytes:], round); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRound, err)
	}
	if len(round.Messages) > MaxRoundMessages {
		return nil, fmt.Errorf("%w: %d messages, at most %d are allowed", ErrBadRound, len(round.Messages), MaxRoundMessages)
	}
	return round, nil
}
