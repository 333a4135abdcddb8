package history

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"lockstep/pagetrie"
)

// format is the version of the text.
const format = 1

// fieldsOf gives the fields of an event that are not zero.
func fieldsOf(e *Event) field {
	var set field
	add := func(f field, there bool) {
		if there {
			set |= f
		}
	}
	add(fRole, e.Role != 0)
	add(fClass, e.Class != 0)
	add(fOutcome, e.Outcome != 0)
	add(fNode, e.Node != 0)
	add(fPeer, e.Peer != 0)
	add(fSlot, e.Slot != 0)
	add(fClient, e.Client != 0)
	add(fFault, e.Fault != 0)
	add(fOp, e.Op != 0)
	add(fTerm, e.Term != 0)
	add(fIndex, e.Index != 0)
	add(fTo, e.To != 0)
	add(fRound, e.Round != 0)
	add(fRan, e.Ran != 0)
	add(fSession, e.Session != 0)
	add(fSequence, e.Sequence != 0)
	add(fCount, e.Count != 0)
	add(fRoot, e.Root != pagetrie.Hash{})
	add(fDigest, e.Digest != 0)
	add(fText, e.Text != "")
	return set
}

// Validate reports fields that the kind must have and does not, or has and must not.
func (e *Event) Validate() error {
	if e.Kind == 0 || int(e.Kind) >= len(kindSpecs) {
		return fmt.Errorf("event of unknown kind %d", e.Kind)
	}
	spec, set := kindSpecs[e.Kind], fieldsOf(e)
	switch {
	case spec.must&^set != 0:
		return fmt.Errorf("event %s has no %s", e.Kind, fieldNames(spec.must&^set))
	case set&^(spec.must|spec.may) != 0:
		return fmt.Errorf("event %s has a %s: that is nothing to it", e.Kind, fieldNames(set&^(spec.must|spec.may)))
	case e.At < 0:
		return fmt.Errorf("event %s was %v before the run", e.Kind, -e.At)
	case e.Role > Leader || e.Class > StaleQuery || e.Outcome > Unknown:
		return fmt.Errorf("event %s: %s, %s, %s", e.Kind, e.Role, e.Class, e.Outcome)
	case e.To != 0 && e.To < e.Index && e.Kind != Started:
		return fmt.Errorf("event %s of indexes %d to %d", e.Kind, e.Index, e.To)
	case len(e.Text) > MaxText:
		return fmt.Errorf("event %s: text of %d bytes, at most %d are allowed", e.Kind, len(e.Text), MaxText)
	}
	return nil
}

var fieldWords = [...]string{"role", "class", "outcome", "node", "peer", "slot", "client", "fault", "op", "term", "index",
	"to", "round", "ran", "session", "seq", "count", "root", "digest", "text"}

func fieldNames(set field) string {
	text := ""
	for i, word := range fieldWords {
		if set&(1<<i) == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += word
	}
	return text
}

// appendEvent appends the event's line. Members that are zero are left out.
func appendEvent(b []byte, e *Event) []byte {
	b = append(b, `{"at":`...)
	b = strconv.AppendInt(b, int64(e.At), 10)
	b = appendWord(b, "kind", e.Kind.String())
	if e.Role != 0 {
		b = appendWord(b, "role", e.Role.String())
	}
	if e.Class != 0 {
		b = appendWord(b, "class", e.Class.String())
	}
	if e.Outcome != 0 {
		b = appendWord(b, "outcome", e.Outcome.String())
	}
	for _, n := range [...]struct {
		name  string
		value uint64
	}{{"node", uint64(e.Node)}, {"peer", uint64(e.Peer)}, {"slot", uint64(e.Slot)}, {"client", uint64(e.Client)},
		{"fault", uint64(e.Fault)}, {"op", e.Op}, {"term", e.Term}, {"index", e.Index}, {"to", e.To}, {"round", e.Round},
		{"ran", e.Ran}, {"session", e.Session}, {"seq", e.Sequence}, {"count", e.Count}} {
		if n.value != 0 {
			b = append(append(append(b, `,"`...), n.name...), `":`...)
			b = strconv.AppendUint(b, n.value, 10)
		}
	}
	if e.Root != (pagetrie.Hash{}) {
		b = hex.AppendEncode(append(b, `,"root":"`...), e.Root[:])
		b = append(b, '"')
	}
	if e.Digest != 0 {
		var raw [8]byte
		binary.BigEndian.PutUint64(raw[:], uint64(e.Digest))
		b = hex.AppendEncode(append(b, `,"digest":"`...), raw[:])
		b = append(b, '"')
	}
	if e.Text != "" {
		b = appendText(append(b, `,"text":`...), e.Text)
	}
	return append(b, '}', '\n')
}

func appendWord(b []byte, name, word string) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(append(b, word...), '"')
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // a string always has a form
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func encodeHeader(h Header) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	if len(line) > MaxLine {
		return nil, fmt.Errorf("encode header: %d bytes, at most %d are allowed", len(line), MaxLine)
	}
	return append(line, '\n'), nil
}

func (h Header) validate() error {
	var errs []error
	if h.Format != format {
		errs = append(errs, fmt.Errorf("format %d, this program reads %d", h.Format, format))
	}
	if h.Replicas < 1 || h.Replicas > MaxReplicas {
		errs = append(errs, fmt.Errorf("%d replicas, 1 to %d are possible", h.Replicas, MaxReplicas))
	}
	for _, n := range h.Excused {
		if n < 1 || n > h.Replicas {
			errs = append(errs, fmt.Errorf("excused replica %d of %d", n, h.Replicas))
		}
	}
	return errors.Join(errs...)
}
