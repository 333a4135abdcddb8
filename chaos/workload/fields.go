package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// jsonFields are the members of one JSON object, taken out by name. Every fault is kept, so that a line's are all told at once.
type jsonFields struct {
	members map[string]json.RawMessage
	known   []string // every name asked for
	faults  []error
}

// parseJSONFields reads exactly one JSON object whose names differ.
func parseJSONFields(text []byte) (*jsonFields, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	open, err := decoder.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	if open != json.Delim('{') {
		return nil, errors.New(`not a JSON object; a line looks like {"canister":"kv","method":"put","text":"a=1"}`)
	}
	f := &jsonFields{members: map[string]json.RawMessage{}}
	for decoder.More() {
		if err := f.readMember(decoder); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more text after the JSON object; each line is one object")
	}
	return f, nil
}

func (f *jsonFields) readMember(decoder *json.Decoder) error {
	name, err := decoder.Token()
	if err != nil {
		return notJSON(err)
	}
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return notJSON(err)
	}
	if _, twice := f.members[name.(string)]; twice {
		return fmt.Errorf("field %q is there twice", name)
	}
	f.members[name.(string)] = value
	return nil
}

func notJSON(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: the line ends in the middle of an object")
	}
	return fmt.Errorf("not JSON: %w", err)
}

func (f *jsonFields) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Errorf(format, args...))
}

func (f *jsonFields) has(name string) bool {
	_, there := f.members[name]
	return there
}

// take decodes a member into value and answers whether it was there and good. What it should be is told in the fault.
func (f *jsonFields) take(name string, value any, wanted string) bool {
	f.known = append(f.known, name)
	text, there := f.members[name]
	if !there {
		return false
	}
	if string(text) == "null" || json.Unmarshal(text, value) != nil {
		f.fault("field %q is %s; it must be %s", name, clip(string(text)), wanted)
		return false
	}
	return true
}

// text takes a string.
func (f *jsonFields) text(name, otherwise string) string {
	f.take(name, &otherwise, "a string")
	return otherwise
}

// name takes the name of a canister or method.
func (f *jsonFields) name(name, otherwise string) string {
	value := f.text(name, otherwise)
	f.checkName(name, value)
	return value
}

// names takes a list of names, or one name.
func (f *jsonFields) names(name string, otherwise ...string) []string {
	if text, there := f.members[name]; there && bytes.HasPrefix(text, []byte(`"`)) {
		return []string{f.name(name, "")}
	}
	var given []string
	if !f.take(name, &given, "a string or a list of strings") {
		return otherwise
	}
	if len(given) == 0 {
		f.fault("field %q is an empty list", name)
	}
	for _, value := range given {
		f.checkName(name, value)
	}
	return given
}

func (f *jsonFields) checkName(field, value string) {
	switch {
	case value == "":
		if f.has(field) {
			f.fault("field %q is empty", field)
		} else {
			f.fault("field %q is missing", field)
		}
	case len(value) > MaxNameBytes:
		f.fault("field %q is %d bytes long; at most %d are allowed", field, len(value), MaxNameBytes)
	}
}

// A boundedField is a number with its bounds.
type boundedField[N uint64 | float64] struct {
	name                string
	otherwise, min, max N
}

type (
	numberField   = boundedField[uint64]
	fractionField = boundedField[float64]
)

func (f *jsonFields) number(n numberField) uint64 { return bounded(f, n, "a whole number") }

func (f *jsonFields) fraction(n fractionField) float64 { return bounded(f, n, "a number") }

func bounded[N uint64 | float64](f *jsonFields, n boundedField[N], kind string) N {
	value := n.otherwise
	wanted := fmt.Sprintf("%s from %v to %v", kind, n.min, n.max)
	if f.take(n.name, &value, wanted) && (value < n.min || value > n.max) {
		f.fault("field %q is %v; it must be %s", n.name, value, wanted)
		return n.otherwise
	}
	return value
}

func (f *jsonFields) flag(name string) bool {
	var value bool
	f.take(name, &value, "true or false")
	return value
}

// unknown tells of members that nobody asked for. It comes last.
func (f *jsonFields) unknown(what string) {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		if !slices.Contains(f.known, name) {
			f.fault("unknown field %q; %s has %s", clip(name), what, strings.Join(f.known, ", "))
		}
	}
}

// clip keeps what is quoted from a file short enough for a terminal.
func clip(text string) string {
	const limit = 60
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}
