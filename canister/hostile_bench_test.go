package canister

import (
	"fmt"
	"sort"
	"strings"
	"testing"
)

// hostileShapes are functions that cost a compiler much, of a size that is given.
var hostileShapes = []struct {
	name string
	body func(size int) string
}{
	{"br_table", func(n int) string { return "(block (br_table" + strings.Repeat(" 0", n+1) + " (i32.const 0)))" }},
	{"loops", func(n int) string {
		return strings.Repeat("(loop ", n) + strings.Repeat("(br_if 0 (i32.const 0)))", n)
	}},
	{"blocks", func(n int) string {
		return strings.Repeat("(block (br_if 0 (local.get 0)) (local.set 0 (i32.add (local.get 0) (i32.const 1))))", n)
	}},
	{"indirect", func(n int) string { return strings.Repeat("(call_indirect (i32.const 0))", n) }},
}

func hostile(t testing.TB, body string, functions int) []byte {
	return wat(t, `(module (table 1 funcref)`+strings.Repeat("(func (local i32) "+body+")", functions)+")")
}

// BenchmarkHostile compiles the largest function of each shape that preparation lets in, and without -short the largest module of such
// functions, under the highest and the lowest level of optimisation.
func BenchmarkHostile(b *testing.B) {
	allowed := func(wasm []byte) *Program {
		p, err := Prepare(wasm, DefaultLimits())
		if err != nil {
			return nil
		}
		return p
	}
	for _, shape := range hostileShapes {
		size := sort.Search(1<<16, func(n int) bool { return allowed(hostile(b, shape.body(n+1), 1)) == nil })
		body := shape.body(size)
		counts := []int{1}
		if !testing.Short() {
			counts = append(counts, sort.Search(1<<8, func(n int) bool { return allowed(hostile(b, body, n+1)) == nil }))
		}
		for _, functions := range counts {
			p := allowed(hostile(b, body, functions))
			for _, level := range []OptLevel{OptSpeed, OptNone} {
				b.Run(fmt.Sprintf("shape=%s/size=%d/functions=%d/opt=%s", shape.name, size, functions, level), func(b *testing.B) {
					e, err := NewEngine(EngineConfig{OptLevel: level})
					if err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						if _, err := e.Compile(p); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
