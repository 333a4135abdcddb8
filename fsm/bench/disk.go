package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/figure"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/snapshot"
)

// bytesWritten measures what a checkpoint writes after k pages of n have changed.
func (b *run) bytesWritten() error {
	const n = 16384 // 64 MiB
	books := newLedger()
	s, _, err := openStore(b.dir, "bytes", books)
	if err != nil {
		return err
	}
	m := newPlain(n, 1)
	if _, err := m.write(s); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, k := range []int{0, 1, 16, 256, 2048, 8000} {
		m.touch(rng, k)
		books.take()
		if _, err := m.write(s); err != nil {
			return err
		}
		written, _ := books.take()
		limit := float64(k)*snapshot.PageSize*1.05 + 64<<10 + 1000
		b.figure(figure.Figure{Work: fmt.Sprintf("checkpoint after %d of %d pages changed, bytes written", k, n), Goal: fmt.Sprintf("%.0f KiB", limit/1024),
			Measured: fmt.Sprintf("%d KiB", written/1024), Met: float64(written) <= limit, Values: map[string]float64{"bytes": float64(written), "limit": limit}})
		if _, err := s.Merge(); err != nil {
			return err
		}
	}
	return nil
}

// pyramid measures merges and disk over a long random run.
func (b *run) pyramid() error {
	for _, c := range []struct{ pages, changed, checkpoints int }{{8192, 16, 300}, {8192, 200, 150}, {8192, 800, 60}} {
		name := fmt.Sprintf("%d of %d pages between checkpoints, %d of them", c.changed, c.pages, c.checkpoints)
		b.config.Progress("merges: " + name)
		books := newLedger()
		s, dir, err := openStore(b.dir, "pyramid", books)
		if err != nil {
			return err
		}
		m := newPlain(c.pages, 2)
		if _, err := m.write(s); err != nil {
			return err
		}
		rng := rand.New(rand.NewPCG(2, uint64(c.changed)))
		books.take()
		var merged, most uint64
		for range c.checkpoints {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			m.touch(rng, c.changed)
			if _, err := m.write(s); err != nil {
				return err
			}
			_, at := books.take()
			most = max(most, at)
			if _, err := s.Merge(); err != nil {
				return err
			}
			w, at := books.take()
			merged, most = merged+w, max(most, at)
		}
		changed := float64(c.checkpoints) * float64(c.changed) * snapshot.PageSize
		amplification, disk := float64(merged)/changed, float64(most)/float64(c.pages*snapshot.PageSize)
		b.figure(figure.Figure{Work: "write amplification of merges, " + name, Goal: "3", Measured: fmt.Sprintf("%.2f", amplification), Met: amplification <= 3,
			Values: map[string]float64{"amplification": amplification}})
		b.figure(figure.Figure{Work: "most on disk of the state, " + name, Goal: "2.5x", Measured: fmt.Sprintf("%.2fx", disk), Met: disk <= 2.5,
			Values: map[string]float64{"of state": disk}})
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// throughput measures writing and verifying a whole checkpoint against plain files and hashing.
func (b *run) throughput() error {
	const n, times = 65536, 5 // 256 MiB
	b.config.Progress("writing and verifying 256 MiB")
	m := newPlain(n, 3)
	var plainly, checkpoints, hashing, verifying []time.Duration
	for i := range times {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		d, err := writePlainly(filepath.Join(b.dir, "plain"), m.bytes, len(m.bytes))
		if err != nil {
			return err
		}
		plainly = append(plainly, d)
		s, dir, err := openStore(b.dir, "full", nil)
		if err != nil {
			return err
		}
		start := time.Now()
		id, err := m.write(s)
		if err != nil {
			return err
		}
		checkpoints = append(checkpoints, time.Since(start))
		if i == 0 { // once for the processor's caches and the page cache
			if _, err := snapshot.Verify(filepath.Join(dir, id), fsm.Hashing()); err != nil {
				return err
			}
		}
		hashing = append(hashing, hashAll(m))
		start = time.Now()
		if _, err := snapshot.Verify(filepath.Join(dir, id), fsm.Hashing()); err != nil {
			return err
		}
		verifying = append(verifying, time.Since(start))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		m.index = 0
	}
	b.against("first checkpoint of 256 MiB, against writing as many bytes with one sync", 1.3, len(m.bytes), checkpoints, plainly)
	b.against("verify of 256 MiB in the page cache, against hashing them on all processors", 1.2, len(m.bytes), verifying, hashing)
	return nil
}

// against compares medians of runs that took turns.
func (b *run) against(work string, goal float64, bytes int, ours, bound []time.Duration) {
	x := ratio(median(ours), median(bound))
	b.figure(figure.Figure{Work: work, Goal: fmt.Sprintf("%.1fx", goal), Measured: fmt.Sprintf("%.2fx: %.0f and %.0f MiB/s", x, rate(bytes, median(ours)), rate(bytes, median(bound))),
		Met: x <= goal, Values: map[string]float64{"ratio": x, "ours ms": millis(median(ours)), "bound ms": millis(median(bound))}})
}

// writePlainly writes n bytes, data over and over, into a new file in pieces of 1 MiB, syncs and removes it.
func writePlainly(path string, data []byte, n int) (time.Duration, error) {
	start := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	for at := 0; at < n && err == nil; at += 1 << 20 {
		piece := data[at%len(data):]
		_, err = f.Write(piece[:min(len(piece), 1<<20, n-at)])
	}
	if err == nil {
		err = f.Sync()
	}
	took := time.Since(start)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Remove(path)
	}
	return took, err
}

// hashAll hashes every page on all processors.
func hashAll(m *plain) time.Duration {
	start := time.Now()
	var next atomic.Int64
	var wait sync.WaitGroup
	const grain = 256
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for lo := int(next.Add(grain)) - grain; lo < m.size(); lo = int(next.Add(grain)) - grain {
				for i := lo; i < min(lo+grain, m.size()); i++ {
					if memstore.HashPage(m.page(uint64(i))) != m.hashes[m.handles[i]] {
						panic("bench: a page has another hash than before")
					}
				}
			}
		})
	}
	wait.Wait()
	return time.Since(start)
}
