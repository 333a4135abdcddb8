package bench

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"lockstep/memstore"
)

func TestQuick(t *testing.T) {
	debug.SetGCPercent(400)
	w, err := newWorkshop()
	if err != nil { t.Fatal(err) }
	s, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil { t.Fatal(err) }
	pages := memstore.PageCount(1 << 18)
	if os.Getenv("PAGES") == "64m" { pages = 1<<14 }
	if os.Getenv("PAGES") == "4g" { pages = 1<<20 }
	ff, err := contentsFile(os.TempDir(), pages)
	src := source{file: ff}
	if err != nil { t.Fatal(err) }
	pats := []Pattern{clustered(), scattered(), scatteredFresh(), random("1%", int(pages)/100), random("10%", int(pages)/10), sequential(int(pages)), dense(256<<20)}
	if pages < 1<<16 { pats = pats[:5] }
	names := []memstore.Tracker{untracked, resident, memstore.TrackerAdaptive, memstore.TrackerUffd, memstore.TrackerCow}
	if os.Getenv("NAIVE") != "" { names = append(names, memstore.TrackerNaive, memstore.TrackerPrefetch) }
	for _, p := range pats {
		for _, op := range []string{"write", "read"} {
			for _, n := range names {
				if p.Pages > 30000 && n == memstore.TrackerNaive { continue }
				var sr series
				var err error
				if n == untracked || n == resident { sr, err = newPlain(w, n, src, pages) } else { sr, err = newTracked(w, s, n, src, pages, false) }
				if err != nil { t.Fatal(err) }
				var warm, cold, save, wall []time.Duration
				reps := 300
				if p.Pages > 1000 { reps = 10 }
				if p.Pages > 100000 { reps = 6 }
				var last Sample
				for i := range 4 {
					c, err := sr.message(op, p, i+1, true)
					if err != nil { t.Fatal(err) }
					cold = append(cold, c.CPU)
				}
				st := time.Now()
				for i := range reps*2 {
					c, err := sr.message(op, p, (i+9)%255+1, false)
					if err != nil { fmt.Println("ERR", err); break }
					if i >= reps { warm = append(warm, c.CPU); save = append(save, c.Save); wall = append(wall, c.Wall); last = c }
					if time.Since(st) > 8*time.Second && len(warm) > 2 { break }
				}
				m, lo, hi := summary(warm)
				cm, _, _ := summary(cold)
				sv, _, _ := summary(save)
				wl, _, _ := summary(wall)
				fmt.Printf("%-26s %-6s %-10s cold %9.1fus warm %9.1fus [%8.1f %8.1f] wall %9.1f %8.3f us/page save %.3f us/page  %+v\n", p.Name, op, n, us(cm), us(m), us(lo), us(hi), us(wl), us(m)/float64(p.Pages), us(sv)/float64(p.Pages), last.Counts)
				if tr, ok := sr.(*tracked); ok && n == memstore.TrackerAdaptive { st := tr.m.Stats(); fmt.Printf("   full %d msgs %d faults %d\n", st.FullScans, st.Messages, st.Faults) }
				sr.close()
				settleHeap()
			}
		}
	}
}
func us(d time.Duration) float64 { return float64(d) / 1000 }
