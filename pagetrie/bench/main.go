// Command bench measures pagetrie beside other maps of Go, in one process and interleaved, and prints one table for
// dense and one for sparse keys: medians of CPU time, and how pagetrie compares with the best of the persistent ones.
//
// Before that, what roots cost beside bare hashing of pages, and garbage collection with 10 million entries.
//
//	go run . [-n 1000000] [-rounds 5] [-only pagetrie,tidwall] [-keys dense,sparse] [-what all]
//
// The exit code is 1 if a goal of the tables is missed, or a persistent peer is ahead in a row without a reason for it.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// row is a line of the table. goal is what is to be reached on dense keys: a factor over the best persistent peer, or
// an upper bound where max is set.
type row struct {
	name, unit string
	scale      float64 // figure / scale is in unit
	goal       float64 // least factor over the best persistent peer; sparse: 1
	most       float64 // greatest figure, dense
	mostSparse float64
	reason     string // why a peer may be ahead in this row; the decision record has it at length
}

const parity = "scattered, nearly every node is copied: the allocator decides"

var rows = []row{
	{"union, 1 existing key", "us", 1e3, 1, 0, 0, ""},
	{"union, 100 random existing keys", "us", 1e3, 2.5, 0, 0, ""},
	{"union, 10 000 random existing keys", "us", 1e3, 1.8, 0, 0, parity},
	{"union, a run of 10 000", "us", 1e3, 20, 0, 0, ""},
	{"union, 10 000 new keys at the end", "us", 1e3, 1, 0, 0, ""},
	{"round of 100, GC counted", "us", 1e3, 2.5, 0, 0, ""},
	{"round of 10 000, GC counted", "us", 1e3, 1, 0, 0, parity},
	{"lookup, random hit", "ns", 1, 3, 0, 0, ""},
	{"lookup, sequential", "ns", 1, 1, 0, 0, ""},
	{"lookup, miss above all keys", "ns", 1, 1, 0, 0, "both look at the topmost prefix alone"},
	{"lookup, miss in a hole", "ns", 1, 1, 0, 0, ""},
	{"nearest at or above", "ns", 1, 1, 0, 0, ""},
	{"iterate", "ns", 1, 1, 0, 0, ""},
	{"build, ascending", "ns", 1, 1, 0, 0, ""},
	{"build, random order", "ns", 1, 1, 0, 0, ""},
	{"overwrite in place", "ns", 1, 1, 0, 0, ""},
	{"bytes an entry", "B", 1, 1, 10, 30, ""},
	{"full GC", "ms", 1e6, 0, 5, 5, "within the limit"},
	{"snapshot", "ns", 1, 0, 60, 60, "a copy of two words; the figure is that of the benchmark's boxing of it"},
}

func main() {
	n := flag.Int("n", 1_000_000, "entries")
	times := flag.Int("rounds", 5, "repetitions of everything; medians are printed")
	only := flag.String("only", "", "comma-separated parts of names of subjects; empty for all")
	keys := flag.String("keys", "dense,sparse", "which keys")
	what := flag.String("what", "all", "all, tables (beside the peers), roots (roots and garbage collection) or strides (memory)")
	flag.Parse()
	debug.SetGCPercent(100)
	fmt.Printf("%s, GOMAXPROCS %d, %d entries, medians of %d, CPU time of the process\n\n",
		runtime.Version(), runtime.GOMAXPROCS(0), *n, *times)
	chosen := subjects
	if *only != "" {
		chosen = slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool {
			return !slices.ContainsFunc(strings.Split(*only, ","), func(part string) bool {
				return strings.Contains(s.name, part)
			})
		})
	}
	if *what == "strides" {
		reportStrides()
		return
	}
	if *what != "tables" {
		reportRoots(*times)
		reportGC()
	}
	if *what == "roots" {
		return
	}
	met := true
	for _, kind := range strings.Split(*keys, ",") {
		w := newWork(kind, drawKeys(kind, *n), 1)
		met = report(w, chosen, run(w, chosen, *times)) && met
	}
	if !met {
		os.Exit(1)
	}
}

func drawKeys(kind string, n int) []uint64 {
	keys := make([]uint64, n)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range keys {
		keys[i] = uint64(i)
		if kind == "sparse" {
			keys[i] = rng.Uint64() >> 1
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// run measures every subject times times, in turns, and returns all figures by row and subject.
func run(w *work, chosen []subject, times int) map[string][][]float64 {
	all := map[string][][]float64{}
	want := map[string]uint64{}
	for range times {
		for i, s := range chosen {
			figures, sums := measure(s, w)
			for name, sum := range sums {
				if sum == 0 {
					continue
				}
				if first, ok := want[name]; ok && first != sum {
					panic(fmt.Sprintf("%s: %s: checksum %x, want %x", s.name, name, sum, first))
				}
				want[name] = sum
			}
			for name, figure := range figures {
				if all[name] == nil {
					all[name] = make([][]float64, len(chosen))
				}
				all[name][i] = append(all[name][i], figure)
			}
		}
	}
	return all
}

// report prints a table and reports whether all its goals are met.
func report(w *work, chosen []subject, all map[string][][]float64) bool {
	fmt.Printf("%s keys:\n\n| work | unit |", w.name)
	for _, s := range chosen {
		fmt.Printf(" %s |", s.name)
	}
	fmt.Printf(" best peer | best peer / pagetrie | goal | |\n|---|---|%s---|---:|---|---|\n", strings.Repeat("---:|", len(chosen)))
	met := true
	var ahead []string
	for _, r := range rows {
		fmt.Printf("| %s | %s |", r.name, r.unit)
		ours, best, peer := 0.0, 0.0, "-"
		for i, s := range chosen {
			if all[r.name][i] == nil {
				fmt.Print(" - |")
				continue
			}
			figure := median(all[r.name][i]) / r.scale
			fmt.Printf(" %.3g |", figure)
			if s.name == "pagetrie" {
				ours = figure
			} else if s.persistent && (best == 0 || figure < best) {
				best, peer = figure, s.name
			}
		}
		fmt.Printf(" %s |", peer)
		met = verdict(r, w.name == "dense", ours, best) && met
		if best > 0 && best < ours {
			ahead = append(ahead, fmt.Sprintf("- %s: %s has %.3g %s, pagetrie %.3g: %s", r.name, peer, best, r.unit, ours, cmp.Or(r.reason, "NO REASON")))
			met = met && r.reason != ""
		}
	}
	fmt.Printf("\nRows in which a persistent peer is ahead: %d\n\n%s\n\n", len(ahead), strings.Join(ahead, "\n"))
	return met
}

func verdict(r row, dense bool, ours, best float64) bool {
	goal, most := r.goal, r.most
	if !dense {
		goal, most = min(goal, 1), r.mostSparse
	}
	ok, text := true, ""
	if goal > 0 {
		text = fmt.Sprintf(">= %gx", goal)
		ok = best/ours >= goal || best == 0
	}
	if most > 0 {
		text += fmt.Sprintf(" <= %g %s", most, r.unit)
		ok = ok && ours <= most
	}
	mark := "met"
	if !ok {
		mark = "MISSED"
	}
	fmt.Printf(" %.2f | %s | %s |\n", best/ours, text, mark)
	return ok
}
