package pagetrie

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"syscall"
	"time"
	"os"
	"lockstep/pagetrie/sha256x2"
)

func TestScratchPhases(t *testing.T) {
	if os.Getenv("NARROW") != "" {
		sha256x2.ScratchOff()
	}
	const n, room = 1 << 20, 1 << 18
	p := &scratchPages{hashes: make([]Hash, n+room)}
	big := make([]byte, 64<<20)
	rng := rand.New(rand.NewPCG(2, 2))
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{Key: uint64(i), Value: Value(i)}
		p.hashes[i] = sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	m := FromSorted(entries)
	m.Root(p)
	var parts [][]float64
	var faults, empty, collect, leaves, branches, clean []float64
	for range 60 {
		k := 10
		dirty := make([]Entry, k)
		base := n + rng.IntN(1<<18-k)
		for i := range dirty {
			dirty[i] = Entry{Key: rng.Uint64N(n), Value: Value(base + i)}
		}
		slices.SortFunc(dirty, func(a, b Entry) int { return int(a.Key) - int(b.Key) })
		dirty = slices.CompactFunc(dirty, func(a, b Entry) bool { return a.Key == b.Key })
		runtime.GC()
		pc := debug.SetGCPercent(-1)
		for i := 0; i < len(big); i += 64 {
			big[i]++
		}
		changed := Union(FromSorted(dirty), m)
		for range 10 {
			sink = sha256.Sum256(big[rng.IntN(len(big)-4096):][:4096])
		}
		var r0, r1 syscall.Rusage
		syscall.Getrusage(1, &r0)
		t0 := time.Now()
		t1 := time.Now()
		d := digester{hasher: p}
		d.stages = spareStages.Get().(*stages)
		d.collect(changed.root)
		t2 := time.Now()
		ts := []time.Time{time.Now()}
		for i, l := range d.leaves {
			d.stale[i] = bitmap(l.stale)
			d.freshLeaf[i] = l.digests.Load()
		}
		ts = append(ts, time.Now())
		for i := range d.leaves {
			d.touched += d.freshLeaf[i].touch()
		}
		ts = append(ts, time.Now())
		for i, l := range d.leaves {
			d.freshLeaf[i] = d.freshLeaf[i].copy()
			for groups := groupsOf(d.stale[i]) & groupsOf(l.present); groups != 0; groups &= groups - 1 {
				d.wantGroup(l, bitmap(groups).lowest())
			}
		}
		ts = append(ts, time.Now())
		hashes := d.hashWanted()
		ts = append(ts, time.Now())
		for i, l := range d.leaves {
			for groups := groupsOf(d.stale[i]) & groupsOf(l.present); groups != 0; groups &= groups - 1 {
				g := int(bitmap(groups).lowest())
				mask := l.present.group(g)
				n := mask.count()
				d.end(appendGroup(d.lanes.begin(), kindLeafGroup, mask, hashes[:n]), &d.freshLeaf[i].groups[g])
				hashes = hashes[n:]
			}
		}
		ts = append(ts, time.Now())
		d.lanes.run()
		ts = append(ts, time.Now())
		for i, l := range d.leaves {
			fresh := d.freshLeaf[i]
			d.end(appendLeaf(d.lanes.begin(), l.base, l.present, &fresh.groups), &fresh.node)
		}
		d.lanes.run()
		ts = append(ts, time.Now())
		for i, l := range d.leaves {
			l.publish(d.freshLeaf[i])
		}
		d.leaves = d.leaves[:0]
		t3 := time.Now()
		ts = append(ts, t3)
		for i := range 8 {
			if len(parts) < 8 {
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], float64(ts[i+1].Sub(ts[i]))/1e3)
		}
		d.finish(maxHeight)
		t4 := time.Now()
		syscall.Getrusage(1, &r1)
		faults = append(faults, float64(r1.Minflt-r0.Minflt))
		spareStages.Put(d.stages)
		changed.Root(p)
		t5 := time.Now()
		debug.SetGCPercent(pc)
		m = changed
		f := func(a, b time.Time) float64 { return float64(b.Sub(a)) / 1e3 }
		empty, collect, leaves, branches, clean = append(empty, f(t0, t1)), append(collect, f(t1, t2)), append(leaves, f(t2, t3)), append(branches, f(t3, t4)), append(clean, f(t4, t5))
	}
	var max float64
	_ = max
	med := func(a []float64) float64 { slices.Sort(a); return a[len(a)/2] }
	for i := range parts {
		fmt.Print(med(parts[i]), " ")
	}
	fmt.Println("faults", med(faults), "empty", med(empty), "collect", med(collect), "leaves", med(leaves), "branches", med(branches), "clean root", med(clean))
}

var sink [32]byte
