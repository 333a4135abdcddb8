package history

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"lockstep/pagetrie"
)

// Limits of what is read.
const (
	// MaxLine bounds one line in bytes.
	MaxLine = 1 << 16
	// MaxReplicas bounds the replicas of a history.
	MaxReplicas = 64
)

// ErrBad marks text that is no history.
var ErrBad = errors.New("not a history")

// Read reads a whole history of at most limit events; 0 means DefaultMaxEvents. Errors in the text wrap ErrBad and begin with
// the name and the line's number.
func Read(r io.Reader, name string, limit int) (*Log, error) {
	l := new(Log)
	s := NewScanner(r, name, limit)
	for s.Next() {
		l.Events = append(l.Events, *s.Event())
	}
	l.Header, l.Cut = s.Header(), s.Cut()
	if s.Err() != nil {
		return nil, s.Err()
	}
	return l, nil
}

// Scanner reads a history event by event, in constant memory.
type Scanner struct {
	name   string
	lines  *bufio.Reader
	limit  int
	line   int
	header Header
	event  Event
	cut    bool
	err    error
}

// NewScanner reads the header and is then before the first event.
func NewScanner(r io.Reader, name string, limit int) *Scanner {
	if limit == 0 {
		limit = DefaultMaxEvents
	}
	s := &Scanner{name: name, lines: bufio.NewReaderSize(r, MaxLine+2), limit: limit}
	text, ok := s.read()
	switch {
	case s.err != nil:
	case !ok:
		s.fail(errors.New("no header line"))
	default:
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&s.header); err != nil {
			s.fail(err)
		} else if err := s.header.validate(); err != nil {
			s.fail(err)
		}
	}
	return s
}

// Header is the history's first line; zero after an error in it.
func (s *Scanner) Header() Header { return s.header }

// Next moves to the next event; false at the end or after an error.
func (s *Scanner) Next() bool {
	if s.err != nil {
		return false
	}
	text, ok := s.read()
	if !ok {
		return false
	}
	if s.line-1 > s.limit {
		s.fail(fmt.Errorf("more than %d events", s.limit))
		return false
	}
	if err := decodeEvent(text, &s.event); err != nil {
		s.fail(err)
		return false
	}
	if int(s.event.Node) > s.header.Replicas || int(s.event.Peer) > s.header.Replicas {
		s.fail(fmt.Errorf("node %d, peer %d: there are %d replicas", s.event.Node, s.event.Peer, s.header.Replicas))
		return false
	}
	return true
}

// Event is the event that Next moved to. It holds until the next call.
func (s *Scanner) Event() *Event { return &s.event }

// Cut reports whether the last line was unfinished, and left out.
func (s *Scanner) Cut() bool { return s.cut }

// Err is why Next stopped before the end, or nil.
func (s *Scanner) Err() error { return s.err }

// read gives the next line without its end.
func (s *Scanner) read() ([]byte, bool) {
	text, err := s.lines.ReadSlice('\n')
	switch {
	case err == nil:
		s.line++
		return text[:len(text)-1], true
	case err == bufio.ErrBufferFull:
		s.line++
		s.fail(fmt.Errorf("a line of more than %d bytes", MaxLine))
	case err != io.EOF:
		s.err = fmt.Errorf("read %s: %w", s.name, err)
	case len(text) > 0:
		s.cut = true
	}
	return nil, false
}

func (s *Scanner) fail(err error) {
	s.err = fmt.Errorf("%s:%d: %w: %w", s.name, s.line, ErrBad, err)
}

// eventLine is an event's line.
type eventLine struct {
	At       *int64 `json:"at"`
	Kind     string `json:"kind"`
	Role     string `json:"role"`
	Class    string `json:"class"`
	Outcome  string `json:"outcome"`
	Node     uint8  `json:"node"`
	Peer     uint8  `json:"peer"`
	Slot     uint32 `json:"slot"`
	Client   uint32 `json:"client"`
	Fault    uint32 `json:"fault"`
	Op       uint64 `json:"op"`
	Term     uint64 `json:"term"`
	Index    uint64 `json:"index"`
	To       uint64 `json:"to"`
	Round    uint64 `json:"round"`
	Ran      uint64 `json:"ran"`
	Session  uint64 `json:"session"`
	Sequence uint64 `json:"seq"`
	Count    uint64 `json:"count"`
	Root     string `json:"root"`
	Digest   Digest `json:"digest"`
	Text     string `json:"text"`
}

var kindsByWord = func() map[string]Kind {
	all := map[string]Kind{}
	for _, k := range Kinds() {
		all[k.String()] = k
	}
	return all
}()

func decodeEvent(text []byte, e *Event) error {
	var l eventLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}
	if d.More() {
		return errors.New("text behind the event")
	}
	if l.At == nil {
		return errors.New("an event without at")
	}
	kind, ok := kindsByWord[l.Kind]
	if !ok {
		return fmt.Errorf("unknown kind %.40q", l.Kind)
	}
	*e = Event{At: time.Duration(*l.At), Kind: kind, Node: l.Node, Peer: l.Peer, Slot: l.Slot, Client: l.Client, Fault: l.Fault,
		Op: l.Op, Term: l.Term, Index: l.Index, To: l.To, Round: l.Round, Ran: l.Ran, Session: l.Session,
		Sequence: l.Sequence, Count: l.Count, Digest: l.Digest, Text: strings.Clone(l.Text)}
	err := errors.Join(
		readWord("role", l.Role, roleWords[:], func(n uint8) { e.Role = Role(n) }),
		readWord("class", l.Class, classWords[:], func(n uint8) { e.Class = Class(n) }),
		readWord("outcome", l.Outcome, outcomeWords[:], func(n uint8) { e.Outcome = Outcome(n) }),
		readRoot(l.Root, &e.Root))
	if err != nil {
		return err
	}
	return e.Validate()
}

func readWord(what, text string, words []string, set func(uint8)) error {
	if text == "" {
		return nil
	}
	for n, w := range words {
		if w == text {
			set(uint8(n))
			return nil
		}
	}
	return fmt.Errorf("unknown %s %.40q", what, text)
}

func readRoot(text string, root *pagetrie.Hash) error {
	if text == "" {
		return nil
	}
	if len(text) != 2*len(root) {
		return fmt.Errorf("root of %d digits, it has %d", len(text), 2*len(root))
	}
	_, err := hex.Decode(root[:], []byte(text))
	return err
}
