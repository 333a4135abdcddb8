package history

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
)

// field is a set of an Event's fields.
type field uint32

const (
	fRole field = 1 << iota
	fClass
	fOutcome
	fNode
	fPeer
	fSlot
	fClient
	fFault
	fOp
	fTerm
	fIndex
	fTo
	fRound
	fRan
	fSession
	fSequence
	fCount
	fRoot
	fDigest
	fText
)

// kindSpec says what a kind is called and which fields its events have: those that must not be zero, and those that may be
// something.
type kindSpec struct {
	word      string
	must, may field
}

// kindSpecs is the format: one line a kind.
var kindSpecs = [...]kindSpec{
	FaultBegin:        {"fault-begin", fFault | fText, fNode},
	FaultEnd:          {"fault-end", fFault, fText | fNode | fCount},
	Healed:            {"healed", 0, fText},
	Ended:             {"ended", 0, fText},
	Mark:              {"mark", fText, fNode | fIndex | fRound | fTerm},
	Note:              {"note", fText, fNode | fIndex | fRound | fTerm | fFault},
	Started:           {"started", fNode, fTerm | fIndex | fTo | fRound | fRoot | fDigest | fText},
	Stopped:           {"stopped", fNode, fText},
	Crashed:           {"crashed", fNode, fFault | fText},
	Panicked:          {"panicked", fNode | fText, 0},
	Diverged:          {"diverged", fNode | fRound, fRoot | fText},
	Stuck:             {"stuck", fText, fNode | fPeer | fIndex | fCount},
	RoleChanged:       {"role", fNode | fRole, fTerm},
	Voted:             {"voted", fNode | fPeer | fTerm, 0},
	Appended:          {"appended", fNode | fIndex | fTerm, fDigest},
	Truncated:         {"truncated", fNode | fIndex | fTo, 0},
	Compacted:         {"compacted", fNode | fIndex | fTo, 0},
	Committed:         {"committed", fNode | fIndex | fTerm, fDigest},
	Applied:           {"applied", fNode | fIndex | fRound, fTerm | fRoot | fDigest},
	Executed:          {"executed", fNode | fRound, fIndex | fSlot | fRan | fSession | fSequence | fDigest | fText},
	Published:         {"checkpoint", fNode | fIndex, fTerm | fRound | fRoot | fDigest | fCount | fText},
	CheckpointRefused: {"checkpoint-refused", fNode, fPeer | fIndex | fRound | fDigest | fText},
	CheckpointUnread:  {"checkpoint-unread", fNode | fIndex, fText},
	Damaged:           {"damaged", fNode, fFault | fIndex | fDigest | fText},
	InstallSent:       {"install-sent", fNode | fPeer | fIndex | fSequence, fTerm},
	InstallBegin:      {"install-begin", fNode | fIndex, fPeer | fTerm | fRound | fCount | fSequence},
	Installed:         {"installed", fNode | fIndex, fPeer | fTerm | fRound | fRoot | fDigest | fCount},
	InstallFailed:     {"install-failed", fNode, fPeer | fIndex | fRound | fText},
	Configured:        {"members", fText, fNode | fIndex | fTerm},
	Gauge:             {"gauge", fText, fNode | fCount},
	Audited:           {"audited", fRound | fText, fNode | fCount},
	Invoked:           {"invoked", fOp | fClass, fNode | fClient | fSession | fSequence | fText},
	Returned:          {"returned", fOp | fOutcome, fNode | fClient | fIndex | fRound | fRan | fRoot | fDigest | fText},
}

var (
	roleWords    = [...]string{Follower: "follower", Candidate: "candidate", Leader: "leader"}
	classWords   = [...]string{Update: "update", Query: "query", StaleQuery: "stale-query"}
	outcomeWords = [...]string{OK: "ok", Refused: "refused", Unknown: "unknown"}
)

// Kinds lists all kinds.
func Kinds() []Kind {
	var kinds []Kind
	for k := FaultBegin; int(k) < len(kindSpecs); k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// String is the kind's word.
func (k Kind) String() string {
	if int(k) < len(kindSpecs) && k > 0 {
		return kindSpecs[k].word
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// String is the role's word.
func (r Role) String() string { return word(roleWords[:], uint8(r), "role") }

// String is the class's word.
func (c Class) String() string { return word(classWords[:], uint8(c), "class") }

// String is the outcome's word.
func (o Outcome) String() string { return word(outcomeWords[:], uint8(o), "outcome") }

func word(words []string, n uint8, what string) string {
	if int(n) < len(words) && words[n] != "" {
		return words[n]
	}
	return fmt.Sprintf("%s(%d)", what, n)
}

// DigestOf is the digest of some bytes; never 0.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return max(Digest(binary.BigEndian.Uint64(sum[:])), 1)
}

// DigestOfParts is that of a kind and two byte strings, one behind the other: of a log entry (its type, data and extensions), or of what a
// client is told (status, reply and text); never 0.
func DigestOfParts(kind byte, a, b []byte) Digest {
	var text [1024]byte // most are shorter: they cost no allocation
	return DigestOf(append(append(append(text[:0], kind), a...), b...))
}

// String is the digest's 16 hexadecimal digits.
func (d Digest) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// MarshalText makes the digest its digits in JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the digits.
func (d *Digest) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 {
		return fmt.Errorf("digest %.20q is not 16 hexadecimal digits", text)
	}
	*d = Digest(n)
	return nil
}
