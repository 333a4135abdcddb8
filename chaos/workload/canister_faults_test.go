package workload

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lockstep/memstore"
	"lockstep/pagetrie"
)

// Every misbehaviour of the faulty canister comes twice, between ordinary messages: what it left behind would show in the roots.
func TestFaultyCanister(t *testing.T) {
	failures := []step{
		{"update", "trap", "", "trapped: *"},
		{"update", "divide", "", "trapped: *"},
		{"update", "bounds", "", "trapped: *"},
		{"update", "indirect", "", "trapped: *"},
		{"update", "trap_text", "", "trapped: *"},
		{"update", "spin", "", "out of fuel: *"},
		{"update", "recurse", "", "trapped: *"},
		{"update", "long_reply", "", "trapped: *"},
		{"update", "double_reply", "", "trapped: *"},
		{"update", "bad_utf8", "", "trapped: *"},
		{"update", "bad_arg", "abc", "trapped: *"},
		{"update", "grow_then_trap", "", "trapped: *"},
		{"update", "write_all_then_trap", "", "trapped: *"},
		{"update", "global_then_trap", "", "trapped: *"},
		{"query", "trap_query", "", "trapped: *"},
	}
	var story []step
	marks := uint32(0)
	look := func() { story = append(story, step{"query", "state", "", stateReply(marks)}) }
	for _, failure := range failures {
		story = append(story, step{"update", "touch", "", "done"}, failure)
		marks++
		look()
		story = append(story, failure)
		look()
	}
	for _, answer := range []step{
		{"update", "reject", "", "rejected: rejected on purpose"},
		{"update", "no_reply", "", "no reply: *"},
		{"update", "recurse_some", "", "done"},
		{"update", "nan", "", nanReply()},
	} {
		story = append(story, answer)
		marks++
		look()
	}
	checkStory(t, embeddedModule(t, "faulty"), story)
}

// stateReply is the answer to the query "state": the mark in memory, the global, and four Wasm pages of memory.
func stateReply(marks uint32) string {
	var reply []byte
	for _, number := range []uint32{marks, marks, 4} {
		reply = binary.LittleEndian.AppendUint32(reply, number)
	}
	return string(reply)
}

// nanReply is the answer to "nan": the canonical NaNs, positive and without payload.
func nanReply() string {
	var reply []byte
	for range 3 {
		reply = binary.LittleEndian.AppendUint32(reply, 0x7fc00000)
	}
	for range 3 {
		reply = binary.LittleEndian.AppendUint64(reply, 0x7ff8000000000000)
	}
	return string(reply)
}

func TestMemoryCanister(t *testing.T) {
	scan := func(sum string) step {
		return step{"query", "scan", "area=2048 pages=1000", "pages=1000 sum=" + sum}
	}
	checkStory(t, embeddedModule(t, "memory"), []step{
		{"query", "size", "", "pages=16 area=11"},
		scan("4a6410bd92766325"),
		{"update", "sequential", "pages=1000", "pages=1000 sum=e609927a1097b215"},
		scan("dd821b76758f6335"),
		{"update", "backward", "pages=1000 seed=9", "pages=1000 sum=85384d0aaf2ca765"},
		{"update", "random", "pages=1000 area=2048", "pages=1000 sum=*"},
		{"update", "sparse", "pages=100 area=2048", "pages=100 sum=*"},
		{"update", "clustered", "pages=100 run=10 area=2048", "pages=100 sum=*"},
		{"update", "rewrite", "pages=1000", "pages=1000 sum=cbf29ce484222325"},
		{"update", "straddle", "pages=500 at=100", "pages=500 sum=*"},
		{"update", "fill", "pages=300 seed=7", "pages=300 sum=*"},
		{"update", "copy", "pages=300 at=10 to=20", "pages=300 sum=*"},
		{"update", "read", "pages=1000 area=2048", "pages=1000 sum=*"},
		scan("*"),
		{"update", "grow", "pages=100", "pages=100 sum=*"},
		{"query", "size", "", "pages=2176 area=2171"},
		{"update", "sequential", "pags=1", `rejected: unknown parameter "pags=1"; this method takes area= pages= at=*`},
		{"update", "sequential", "pages", `rejected: no = in "pages"*`},
		{"update", "sequential", "pages=1e3", `rejected: not a number: "pages=1e3"*`},
		{"update", "sequential", "bytes=5000", "rejected: memory: bytes is at most 4096*"},
		{"update", "sequential", "pages=99999999", "rejected: memory: area, pages, at, stride and to are at most 1048576"},
		{"update", "sequential", "pages=1000000 stride=2", "rejected: memory: cannot grow to hold the area"},
		{"update", "sequential", strings.Repeat(" ", 513), "rejected: argument too long*"},
	})
}

// Each pattern must change exactly the pages of the area that it says.
func TestMemoryCanisterChangesPages(t *testing.T) {
	tests := []struct {
		method, arg string
		want        []uint64 // pages of the area
	}{
		{"sequential", "pages=4 at=3 stride=5", []uint64{3, 8, 13, 18}},
		{"backward", "pages=3 at=40 bytes=4096", []uint64{40, 41, 42}},
		{"sparse", "pages=4 area=1024", []uint64{0, 256, 512, 768}},
		{"rewrite", "pages=1000", nil},
		{"read", "pages=1000", nil},
		{"straddle", "pages=2 at=100 stride=10", []uint64{100, 101, 110, 111}},
		{"fill", "pages=3 at=60 seed=5", []uint64{60, 61, 62}},
		{"fill", "pages=3 at=60 seed=5", nil},
		{"copy", "pages=2 at=60 to=70", []uint64{70, 71}},
		{"fill", "pages=2 at=60 seed=0", []uint64{60, 61}},
		{"copy", "pages=4 at=60 to=61", []uint64{62, 63}},
		{"grow", "pages=16 stride=8", []uint64{1035, 1043}},
	}
	c := compile(t, embeddedModule(t, "memory"))
	for _, tracker := range memstore.Trackers() {
		t.Run("tracker="+string(tracker), func(t *testing.T) {
			r := rehearse(t, c, tracker)
			r.call("update", "sequential", "pages=0") // the area is there from now on
			first := areaStart(t, r)
			for _, test := range tests {
				before := r.live.State().Memory.Pages
				r.call("update", test.method, test.arg)
				var got []uint64
				for change := range pagetrie.Diff(before, r.live.State().Memory.Pages) {
					if change.Key >= first {
						got = append(got, change.Key-first)
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("%s %s changed pages %d, want %d", test.method, test.arg, got, test.want)
				}
			}
		})
	}
}

// areaStart asks the memory canister where its area begins, in pages of its memory.
func areaStart(t *testing.T, r *rehearsal) uint64 {
	t.Helper()
	numbers := map[string]uint64{}
	for word := range strings.FieldsSeq(r.call("query", "size", "")) {
		name, value, _ := strings.Cut(word, "=")
		number, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		numbers[name] = number
	}
	if numbers["area"] == 0 || numbers["area"] > math.MaxUint32 {
		t.Fatalf("size replied %v", numbers)
	}
	return numbers["pages"] - numbers["area"]
}
