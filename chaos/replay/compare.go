package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// Root is a root as it is printed: 64 hexadecimal digits, in JSON too.
type Root pagetrie.Hash

// String gives the digits.
func (r Root) String() string { return pagetrie.Hash(r).String() }

// MarshalText gives the digits.
func (r Root) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// StateDifference is how two states differ.
type StateDifference struct {
	// Fields are those of the state itself: round, time, limits, sessions.
	Fields    []FieldDifference    `json:"fields,omitempty"`
	Canisters []CanisterDifference `json:"canisters,omitempty"`
}

// Empty reports whether nothing differs.
func (d *StateDifference) Empty() bool { return len(d.Fields) == 0 && len(d.Canisters) == 0 }

// FieldDifference is one value that differs; "" is that of a side which has none.
type FieldDifference struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// CanisterDifference is how a canister differs.
type CanisterDifference struct {
	Name string `json:"name"`
	// Only is "a" or "b" when the other side has no such canister; then nothing below is set.
	Only string `json:"only,omitempty"`
	// Fields are number, module, memory size and globals.
	Fields []FieldDifference `json:"fields,omitempty"`
	// Pages is how many pages of the memory differ, Shown the first of them with their bytes.
	Pages uint64           `json:"pages"`
	Shown []PageDifference `json:"shown,omitempty"`
}

// PageDifference is how a page differs.
type PageDifference struct {
	Page   uint64               `json:"page"`
	Ranges []snapshot.ByteRange `json:"ranges"`
}

// Compare holds the states of two checkpoints against each other. Memories with equal roots are not looked into, and pages are
// found by their hashes; the bytes of at most show pages of each canister are read.
func Compare(a, b *snapshot.Checkpoint, show int) (*StateDifference, error) {
	ca, err := fsm.ReadContents(a)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", a.Dir, err)
	}
	cb, err := fsm.ReadContents(b)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", b.Dir, err)
	}
	d := &StateDifference{Fields: stateFields(ca, cb)}
	memories := map[string]snapshot.MemoryDifference{}
	for _, m := range snapshot.Diff(a, b).Memories {
		memories[m.Name] = m
	}
	for _, pair := range pairCanisters(ca.Canisters, cb.Canisters) {
		c, err := pair.compare(memories, show)
		if err != nil {
			return nil, err
		}
		if c != nil {
			d.Canisters = append(d.Canisters, *c)
		}
	}
	return d, nil
}

// fieldList collects fields that differ.
type fieldList []FieldDifference

func (l *fieldList) add(name string, a, b any) {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		*l = append(*l, FieldDifference{name, x, y})
	}
}

func stateFields(a, b *fsm.Contents) fieldList {
	var l fieldList
	l.add("round", a.Round, b.Round)
	l.add("time", a.Time, b.Time)
	l.add("next session", a.NextSession, b.NextSession)
	l.add("next canister", a.NextCanister, b.NextCanister)
	l.add("limits", LimitsText(a.Limits), LimitsText(b.Limits))
	return append(l, sessionFields(a.Sessions, b.Sessions)...)
}

// LimitsText is the replicated configuration in one line.
func LimitsText(l fsm.Limits) string {
	text, err := json.Marshal(l)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// maxSessions bounds the differing sessions that are told one by one.
const maxSessions = 16

func sessionFields(a, b []fsm.SessionContents) (l fieldList) {
	sides := map[fsm.SessionID][2]string{}
	for side, list := range [][]fsm.SessionContents{a, b} {
		for _, s := range list {
			text := sides[s.ID]
			text[side] = fmt.Sprintf("sequence %d, used at %d, %s in round %d: %q %q", s.Sequence, s.LastUse, s.Result.Status, s.Result.Round, s.Result.Reply, s.Result.Text)
			sides[s.ID] = text
		}
	}
	for _, id := range slices.Sorted(maps.Keys(sides)) {
		l.add(fmt.Sprintf("session %d", id), sides[id][0], sides[id][1])
	}
	if more := len(l) - maxSessions; more > 0 {
		l = append(l[:maxSessions], FieldDifference{Name: "other sessions that differ", A: fmt.Sprint(more), B: fmt.Sprint(more)})
	}
	return l
}

// canisterPair is one canister on both sides; nil where a side lacks it.
type canisterPair struct{ a, b *fsm.CanisterContents }

// pairCanisters matches by name, in the order of the first side and then of the second.
func pairCanisters(a, b []fsm.CanisterContents) []canisterPair {
	var pairs []canisterPair
	find := func(list []fsm.CanisterContents, name string) *fsm.CanisterContents {
		if i := slices.IndexFunc(list, func(c fsm.CanisterContents) bool { return c.Name == name }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for i := range a {
		pairs = append(pairs, canisterPair{&a[i], find(b, a[i].Name)})
	}
	for i := range b {
		if find(a, b[i].Name) == nil {
			pairs = append(pairs, canisterPair{nil, &b[i]})
		}
	}
	return pairs
}

// compare gives nil if nothing differs.
func (p canisterPair) compare(memories map[string]snapshot.MemoryDifference, show int) (*CanisterDifference, error) {
	switch {
	case p.b == nil:
		return &CanisterDifference{Name: p.a.Name, Only: "a"}, nil
	case p.a == nil:
		return &CanisterDifference{Name: p.b.Name, Only: "b"}, nil
	}
	var l fieldList
	l.add("number", p.a.ID, p.b.ID)
	l.add("module", p.a.Module, p.b.Module)
	l.add("module bytes", p.a.CodeBytes, p.b.CodeBytes)
	for i := range max(len(p.a.Globals), len(p.b.Globals)) {
		l.add(fmt.Sprintf("global %d", i), globalText(p.a.Globals, i), globalText(p.b.Globals, i))
	}
	out := &CanisterDifference{Name: p.a.Name}
	if m, differs := memories[p.a.Memory]; differs && p.a.Memory == p.b.Memory {
		l.add("memory pages", memorySize(m.A), memorySize(m.B))
		out.Pages = uint64(len(m.Pages))
		for _, page := range m.Pages[:min(show, len(m.Pages))] {
			ranges, err := m.Bytes(page)
			if err != nil {
				return nil, fmt.Errorf("canister %s, page %d: %w", p.a.Name, page, err)
			}
			out.Shown = append(out.Shown, PageDifference{page, ranges})
		}
	}
	if out.Fields = l; len(l) == 0 && out.Pages == 0 {
		return nil, nil
	}
	return out, nil
}

func globalText(g []canister.Global, i int) string {
	if i >= len(g) {
		return ""
	}
	return fmt.Sprintf("type %#x, %#x %#x", g[i].Type, g[i].Lo, g[i].Hi)
}

func memorySize(m *snapshot.MemoryFile) uint64 {
	if m == nil {
		return 0
	}
	return m.Size
}

// CompareDirs is Compare for two folders.
func CompareDirs(a, b string, show int) (d *StateDifference, err error) {
	ca, err := snapshot.OpenDir(a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ca.Close()) }()
	cb, err := snapshot.OpenDir(b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cb.Close()) }()
	return Compare(ca, cb, show)
}
