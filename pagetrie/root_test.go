package pagetrie

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/roots: only with a change of the format on purpose")

// golden are maps whose roots may never change. Values are hashed as SHA-256 of their 8 bytes, big-endian.
var golden = []struct {
	name string
	make func() Map
}{
	{"empty", func() Map { return Map{} }},
	{"one", func() Map { return Map{}.Insert(7, 1) }},
	{"bucket", func() Map { return keys(29, func(i uint64) uint64 { return i * i * i * 1000 }) }},
	{"burst bucket", func() Map { return keys(30, func(i uint64) uint64 { return i * i * i * 1000 }) }},
	{"leaf", func() Map { return keys(32, func(i uint64) uint64 { return 96 + i }) }},
	{"crowded leaf", func() Map { return keys(16, func(i uint64) uint64 { return 64 + 2*i }) }},
	{"dense", func() Map { return keys(10_000, func(i uint64) uint64 { return i }) }},
	{"strided", func() Map { return keys(3000, func(i uint64) uint64 { return i * 48 }) }},
	{"scattered", func() Map { return keys(5000, func(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }) }},
	{"ends", func() Map {
		return Union(keys(40, func(i uint64) uint64 { return i }), keys(40, func(i uint64) uint64 { return ^i }))
	}},
}

func keys(n uint64, key func(uint64) uint64) Map {
	var b Builder
	for i := range n {
		b.Insert(key(i), Value(i+1))
	}
	return b.Map()
}

// shaHasher is what golden roots are made with.
type shaHasher struct{}

func (shaHasher) HashValue(v Value) Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(v)))
}

func TestGoldenRoots(t *testing.T) {
	var lines []string
	for _, g := range golden {
		m := g.make()
		if err := m.CheckHashes(shaHasher{}); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%v  %s", m.Root(shaHasher{}), g.name))
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/roots", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/roots")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("roots:\n%swant:\n%s", got, want)
	}
}

// TestFormat computes the golden roots as FORMAT.md says, from the entries alone and sharing no code with the package.
func TestFormat(t *testing.T) {
	file, err := os.Open("testdata/roots")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for _, g := range golden {
		if !lines.Scan() {
			t.Fatal("testdata/roots ends early")
		}
		entries := entriesOf(g.make())
		message := binary.BigEndian.AppendUint64([]byte("LPT1\x00"), uint64(len(entries)))
		if len(entries) > 0 {
			digest := formatNode(entries)
			message = append(message, digest[:]...)
		}
		if got := fmt.Sprintf("%x  %s", sha256.Sum256(message), g.name); got != lines.Text() {
			t.Errorf("by the table: %s, testdata: %s", got, lines.Text())
		}
	}
}

func formatLight(entries []Entry) bool {
	inBlock := map[uint64]int{}
	for _, e := range entries {
		if inBlock[e.Key/32]++; inBlock[e.Key/32] == 16 {
			return false
		}
	}
	return len(entries) <= 29
}

func formatNode(entries []Entry) [32]byte {
	first, last := entries[0].Key, entries[len(entries)-1].Key
	if formatLight(entries) {
		message := append([]byte("LPT1\x01"), byte(len(entries)))
		for _, e := range entries {
			h := shaHasher{}.HashValue(e.Value)
			message = append(binary.BigEndian.AppendUint64(message, e.Key), h[:]...)
		}
		return sha256.Sum256(message)
	}
	var slots [32][]byte
	if first/32 == last/32 {
		for _, e := range entries {
			h := shaHasher{}.HashValue(e.Value)
			slots[e.Key%32] = h[:]
		}
		return formatGroups(binary.BigEndian.AppendUint64([]byte("LPT1\x02"), first/32*32), "LPT1\x04", slots)
	}
	shift := 0
	for first>>shift>>5 != last>>shift>>5 {
		shift += 5
	}
	formatRun(&slots, entries, shift, 0, 32)
	message := binary.BigEndian.AppendUint64([]byte("LPT1\x03"), first>>shift>>5<<5<<shift)
	return formatGroups(append(message, byte(shift)), "LPT1\x05", slots)
}

// formatRun fills slots from .. from+width-1 with the digests of the kids that start there.
func formatRun(slots *[32][]byte, entries []Entry, shift, from, width int) {
	var mine []Entry
	for _, e := range entries {
		if s := int(e.Key >> shift % 32); s >= from && s < from+width {
			mine = append(mine, e)
		}
	}
	switch {
	case len(mine) == 0:
	case width == 1 || formatLight(mine):
		digest := formatNode(mine)
		slots[mine[0].Key>>shift%32] = digest[:]
	default:
		formatRun(slots, mine, shift, from, width/2)
		formatRun(slots, mine, shift, from+width/2, width/2)
	}
}

func formatGroups(head []byte, groupHead string, slots [32][]byte) [32]byte {
	var used uint32
	var digests []byte
	for g := range 4 {
		mask, hashes := byte(0), []byte(nil)
		for i, h := range slots[8*g : 8*g+8] {
			if h != nil {
				mask |= 1 << i
				used |= 1 << (8*g + i)
				hashes = append(hashes, h...)
			}
		}
		if mask != 0 {
			digest := sha256.Sum256(append(append([]byte(groupHead), mask), hashes...))
			digests = append(digests, digest[:]...)
		}
	}
	return sha256.Sum256(append(binary.BigEndian.AppendUint32(head, used), digests...))
}

// batchHasher is a testHasher asked for many hashes at once. It counts how often it is asked, and for one alone.
type batchHasher struct {
	testHasher
	batches, values, single int
}

func (h *batchHasher) HashValue(v Value) Hash {
	h.single++
	return h.testHasher.HashValue(v)
}

func (h *batchHasher) HashValues(values []Value, hashes []Hash) {
	h.batches++
	h.values += len(values)
	for i, v := range values {
		hashes[i] = h.testHasher.HashValue(v)
	}
}

// TestBatchHasher: the same roots, every value asked for once, and few calls.
func TestBatchHasher(t *testing.T) {
	forPatterns(t, 10, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		model := p.model(r, size, 1000)
		m := inOrder(r, model)
		h := &batchHasher{}
		if got, want := m.Root(h), FromSorted(entriesOf(m)).Root(testHasher{}); got != want {
			t.Fatalf("root %v, want %v", got, want)
		}
		if h.values != len(model) || h.single != 0 {
			t.Errorf("%d values in batches and %d alone, want %d", h.values, h.single, len(model))
		}
		if most := 2 + len(model)/stageSize; h.batches > most {
			t.Errorf("%d batches for %d values, want at most %d", h.batches, len(model), most)
		}
	})
}

func TestParseHash(t *testing.T) {
	h := Map{}.Root(testHasher{})
	if got, err := ParseHash(h.String()); err != nil || got != h {
		t.Errorf("ParseHash(%q) = %v, %v", h.String(), got, err)
	}
	for _, bad := range []string{"", h.String()[1:], h.String() + "0", strings.Repeat("g", 64)} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("ParseHash(%q) gives no error", bad)
		}
	}
}
