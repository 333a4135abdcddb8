package replay

import (
	"encoding/hex"
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
	// Hashes is how many page hashes of two checkpoints were compared to find this, PagesRead how many pages were read, of both.
	Hashes    uint64 `json:"-"`
	PagesRead uint64 `json:"-"`
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
	// Fields are number, module, life, sizes, globals, and what waits.
	Fields []FieldDifference `json:"fields,omitempty"`
	// The linear memory's pages.
	MemoryDifference
	// Stable is the stable memory, nil if that does not differ.
	Stable *MemoryDifference `json:"stable,omitempty"`
}

// MemoryDifference is how the pages of a memory differ.
type MemoryDifference struct {
	// Pages is how many differ, Shown the first of them with their bytes.
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
	d := &StateDifference{Fields: append(stateFields(ca, cb), sessionFields(ca.Sessions, cb.Sessions)...)}
	memories := map[string]*memoryPair{}
	for _, m := range snapshot.Diff(a, b).Memories {
		memories[m.Name] = filePair(m, &d.PagesRead)
		for _, side := range []*snapshot.MemoryFile{m.A, m.B} {
			if side != nil {
				d.Hashes += side.Len()
			}
		}
	}
	for _, pair := range pairCanisters(ca.Canisters, cb.Canisters) {
		find := func(name string) (*memoryPair, error) { return memories[name], nil }
		if err := d.add(pair, find, show); err != nil {
			return nil, err
		}
	}
	return d.orRoots(a.Root, b.Root), nil
}

// orRoots adds the roots if they are all that differs.
func (d *StateDifference) orRoots(a, b pagetrie.Hash) *StateDifference {
	if d.Empty() && a != b {
		d.Fields = []FieldDifference{{"root of the state, with nothing else that differs", a.String(), b.String()}}
	}
	return d
}

// memoryPair is a memory that differs on the two sides.
type memoryPair struct {
	sizes [2]uint64
	pages []uint64 // that differ, ascending
	// read gives some of them with their bytes.
	read func(pages []uint64) ([]PageDifference, error)
}

// filePair is a memory of two checkpoints; read counts the pages that are read of both.
func filePair(m snapshot.MemoryDifference, read *uint64) *memoryPair {
	return &memoryPair{sizes: [2]uint64{memorySize(m.A), memorySize(m.B)}, pages: m.Pages, read: func(pages []uint64) (out []PageDifference, err error) {
		for _, page := range pages {
			*read += 2
			ranges, err := m.Bytes(page)
			if err != nil {
				return nil, fmt.Errorf("page %d: %w", page, err)
			}
			out = append(out, PageDifference{page, ranges})
		}
		return out, nil
	}}
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
	return l
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

// add compares one canister; find gives its memories that differ by name, nil for those that do not.
func (d *StateDifference) add(p canisterPair, find func(name string) (*memoryPair, error), show int) error {
	switch {
	case p.b == nil:
		d.Canisters = append(d.Canisters, CanisterDifference{Name: p.a.Name, Only: "a"})
		return nil
	case p.a == nil:
		d.Canisters = append(d.Canisters, CanisterDifference{Name: p.b.Name, Only: "b"})
		return nil
	}
	out := CanisterDifference{Name: p.a.Name, Fields: p.fields()}
	if p.a.ID == p.b.ID { // the same canister, and not one installed anew under the name
		if err := out.memories(p.a, find, show); err != nil {
			return fmt.Errorf("canister %s: %w", p.a.Name, err)
		}
	}
	if len(out.Fields) > 0 || out.Pages > 0 || out.Stable != nil {
		d.Canisters = append(d.Canisters, out)
	}
	return nil
}

func (p canisterPair) fields() (l fieldList) {
	a, b := p.a, p.b
	l.add("number", a.ID, b.ID)
	l.add("module", a.Module, b.Module)
	l.add("module bytes", a.CodeBytes, b.CodeBytes)
	l.add("life", a.Life, b.Life)
	l.add("version", a.Version, b.Version)
	l.add("global timer", a.Timer, b.Timer)
	for i := range max(len(a.Globals), len(b.Globals)) {
		l.add(fmt.Sprintf("global %d", i), globalText(a.Globals, i), globalText(b.Globals, i))
	}
	l.add("certified data", hex.EncodeToString(a.CertifiedData), hex.EncodeToString(b.CertifiedData))
	l.add("controllers", fmt.Sprintf("%x", a.Controllers), fmt.Sprintf("%x", b.Controllers))
	l.add("next call context", a.NextContext, b.NextContext)
	l.add("next call", a.NextCall, b.NextCall)
	if a.Traffic != b.Traffic {
		text := func(c *fsm.CanisterContents) string {
			return fmt.Sprintf("%d queued, %d calls, %d contexts, %d waiting for it to stop, digest %.12s", c.Queued, c.Outstanding, c.Contexts, c.Stopping, c.Traffic)
		}
		l.add("what waits", text(a), text(b))
	}
	return l
}

// memories adds the linear memory and the stable memory.
func (d *CanisterDifference) memories(c *fsm.CanisterContents, find func(name string) (*memoryPair, error), show int) error {
	for _, m := range []struct{ name, field string }{{c.Memory, "memory pages"}, {c.Stable, "stable memory pages"}} {
		pair, err := find(m.name)
		if err != nil {
			return err
		}
		if pair == nil {
			continue
		}
		l := fieldList(d.Fields)
		l.add(m.field, pair.sizes[0], pair.sizes[1])
		d.Fields = l
		shown, err := pair.read(pair.pages[:min(show, len(pair.pages))])
		if err != nil {
			return err
		}
		found := MemoryDifference{Pages: uint64(len(pair.pages)), Shown: shown}
		if m.name == c.Memory {
			d.MemoryDifference = found
		} else {
			d.Stable = &found
		}
	}
	return nil
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
func CompareDirs(a, b string, show int) (*StateDifference, error) {
	return compareStarts(start{path: a}, start{path: b}, show)
}

func compareStarts(a, b start, show int) (d *StateDifference, err error) {
	defer pagetrie.CatchUnreadable(&err)
	ca, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ca.Close()) }()
	cb, err := b.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cb.Close()) }()
	return Compare(ca, cb, show)
}
