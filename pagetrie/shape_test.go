package pagetrie

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// picture draws n, one line a node, kids indented below the slots at which they start.
func picture(b *strings.Builder, n node, indent string) {
	switch x := n.(type) {
	case nil:
		b.WriteString("empty\n")
	case *bucket:
		b.WriteString("bucket")
		for _, e := range x.ents() {
			fmt.Fprintf(b, " %#x=%d", e.Key, e.Value)
		}
		b.WriteString("\n")
	case *leaf:
		fmt.Fprintf(b, "leaf %#x", x.base)
		for rest := x.present; rest != 0; {
			from := rest.lowest()
			to := from
			for rest.has(to) && to < fanOut {
				rest &^= bit(to)
				to++
			}
			fmt.Fprintf(b, " %d-%d", from, to-1)
		}
		b.WriteString("\n")
	case *inner:
		fmt.Fprintf(b, "branch %#x shift %d, %d entries\n", x.base, x.shift, x.size)
		rest := x.starts
		for i := range x.kids.count() {
			fmt.Fprintf(b, "%s  %2d: ", indent, rest.lowest())
			picture(b, x.kids.at(i), indent+"  ")
			rest &= rest - 1
		}
	}
}

// parseKeys reads words like 5, 0x20 and 8-30: keys, each with itself plus add as its value.
func parseKeys(t *testing.T, input string, add uint64) []Entry {
	var entries []Entry
	for _, word := range strings.Fields(input) {
		lo, hi, isRun := strings.Cut(word, "-")
		from, err := strconv.ParseUint(lo, 0, 64)
		to := from
		if isRun && err == nil {
			to, err = strconv.ParseUint(hi, 0, 64)
		}
		if err != nil {
			t.Fatal(err)
		}
		for k := from; ; k++ {
			entries = append(entries, Entry{k, Value(k + add)})
			if k == to {
				break
			}
		}
	}
	return entries
}

// TestShape draws maps after each command. Every command leaves its map under the name given to it.
func TestShape(t *testing.T) {
	datadriven.Walk(t, "testdata/shape", func(t *testing.T, path string) {
		maps := map[string]Map{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var name, left, right string
			var add uint64
			d.ScanArgs(t, "map", &name)
			d.MaybeScanArgs(t, "left", &left)
			d.MaybeScanArgs(t, "right", &right)
			d.MaybeScanArgs(t, "add", &add)
			m := maps[name]
			switch d.Cmd {
			case "insert":
				for _, e := range parseKeys(t, d.Input, add) {
					m = m.Insert(e.Key, e.Value)
				}
			case "remove":
				for _, e := range parseKeys(t, d.Input, 0) {
					m = m.Remove(e.Key)
				}
			case "union":
				m = Union(maps[left], maps[right])
			case "difference":
				m = Difference(maps[left], maps[right])
			case "diff":
				var out strings.Builder
				for c := range Diff(maps[left], maps[right]) {
					fmt.Fprintf(&out, "%#x: %s -> %s\n", c.Key, shown(c.Old, c.HasOld), shown(c.New, c.HasNew))
				}
				return out.String()
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			if err := m.CheckHashes(testHasher{}); err != nil {
				t.Fatal(err)
			}
			maps[name] = m
			var out strings.Builder
			picture(&out, m.root, "")
			return out.String()
		})
	})
}

func shown(v Value, has bool) string {
	if !has {
		return "-"
	}
	return strconv.FormatUint(uint64(v), 10)
}
