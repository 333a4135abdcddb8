package bench

import (
	"fmt"
	"sync/atomic"
	"time"

	"lockstep/figure"
	"lockstep/memstore"
)

// bigFigures are those of a memory of 4 GiB, every page of it written.
func (b *run) bigFigures() error {
	if free := availableMemory(); free < bigNeeds {
		b.result.Figures = append(b.result.Figures, figure.Figure{Work: "memory of 4 GiB", Failed: fmt.Sprintf("not run: %d MiB of memory are free, %d wanted", free>>20, bigNeeds>>20)})
		return nil
	}
	b.config.Progress("figures: 4 GiB, every page in random order")
	fresh, err := touch(bigTouched) // see heat
	if err != nil {
		return err
	}
	b.heated = time.Now()
	return b.with(memstore.TrackerAdaptive, source{}, bigPages, false, func(s series) error {
		all := random("all", bigPages)
		first, err := s.message("write", all, 1, false)
		if err != nil {
			return err
		}
		perPage := micros(first.CPU) / bigPages
		b.figure("4 GiB, 100 % of pages in random order", "works, 3 us a page", fmt.Sprintf("%.2f us a page", perPage), perPage <= 3, map[string]float64{"message": micros(first.CPU)})
		commit := micros(first.Save+first.Compare) / bigPages
		b.figure("commit of 1048576 new pages of 4 GiB", "2.5 us a page", fmt.Sprintf("%.2f us a page; the host gave the memory for it at %.2f before", commit, micros(fresh)/(bigTouched/memstore.PageSize)), commit <= 2.5,
			map[string]float64{"compare": micros(first.Compare), "save": micros(first.Save), "first touch": micros(fresh)})
		b.config.Progress("figures: 4 GiB, warm")
		return b.bigWarm(s)
	})
}

func (b *run) bigWarm(s series) error {
	middle := func(s series, op string, p Pattern, n int) (time.Duration, error) {
		samples, err := b.repeat(s, op, p, n, n)
		return medianCPU(samples), err
	}
	var failed error
	take := func(d time.Duration, err error) time.Duration {
		if err != nil && failed == nil {
			failed = err
		}
		return d
	}
	within := func(name memstore.Tracker, pages memstore.PageCount, query bool, op string, p Pattern, n int) (d time.Duration) {
		err := b.with(name, source{}, pages, query, func(s series) error {
			if name == memstore.TrackerAdaptive && !query {
				if _, err := s.message("write", random("all", int(pages)), 1, false); err != nil {
					return err
				}
			}
			d = take(middle(s, op, p, n))
			return nil
		})
		take(0, err)
		return d
	}
	for _, p := range []Pattern{scattered(), scatteredFresh()} {
		if err := b.bigScattered(s, p); err != nil {
			return err
		}
	}
	if err := b.besideThread(); err != nil {
		return err
	}
	near := take(middle(s, "write", clustered(), 200))
	b.figure("10 clustered of 4 GiB, warm", "25 us", fmt.Sprintf("%.1f us", micros(near)), micros(near) <= 25, map[string]float64{"adaptive": micros(near)})

	limit := within(resident, smallPages, false, "read", scattered(), 200)
	nothing := take(middle(s, "read", scattered(), 200))
	b.figure("message that writes nothing, 4 GiB", "3 us over resident", fmt.Sprintf("%.1f us over", micros(nothing-limit)), micros(nothing-limit) <= 3, map[string]float64{"adaptive": micros(nothing), "resident": micros(limit)})

	for _, op := range []string{"read", "write"} {
		limit := within(resident, smallPages, false, op, scattered(), 200)
		query := within(memstore.TrackerAdaptive, smallPages, true, op, scattered(), 200)
		b.figure("query that "+op+"s 10 pages, warm instance", "20 us over resident", fmt.Sprintf("%.1f us over", micros(query-limit)), micros(query-limit) <= 20, map[string]float64{"adaptive": micros(query), "resident": micros(limit)})
	}
	return failed
}

// calm is how long it takes until the machine has given back to its host what was freed before; while it does, every access
// to a large memory is slower.
const calm = 3 * time.Second

// bigScattered compares a few pages of 4 GiB with the same of 64 MiB and with naive, some messages of each in turn: what else
// goes on in the machine for some milliseconds, as long as hundreds of these messages take, then falls on all three.
func (b *run) bigScattered(s series, p Pattern) error {
	const turns, messages = 40, 10
	return b.with(memstore.TrackerAdaptive, source{}, smallPages, false, func(small series) error {
		if _, err := small.message("write", random("all", smallPages), 1, false); err != nil {
			return err
		}
		return b.with(memstore.TrackerNaive, source{}, bigPages, false, func(naive series) error {
			var cpu [3][]time.Duration
			settleHeap()
			time.Sleep(calm)
			for turn := range turns {
				for k, subject := range []series{s, small, naive} {
					for i := range messages {
						one, err := subject.message("write", p, turn*messages+i+1, false)
						if err != nil {
							return err
						}
						if turn >= turns/2 {
							cpu[k] = append(cpu[k], one.CPU)
						}
					}
				}
				b.rest()
			}
			big, low, high := summary(cpu[0])
			of64, _, _ := summary(cpu[1])
			plain, _, _ := summary(cpu[2])
			b.figure(p.Name+" of 4 GiB, warm", "50 us, 1.3x of 64 MiB, 6x under naive", fmt.Sprintf("%.1f us (quartiles %.1f-%.1f), %.2fx, %.1fx", micros(big), micros(low), micros(high), ratio(big, of64), ratio(plain, big)),
				micros(big) <= 50 && ratio(big, of64) <= 1.3 && ratio(plain, big) >= 6, map[string]float64{"4 GiB": micros(big), "64 MiB": micros(of64), "naive": micros(plain)})
			return nil
		})
	})
}

// besideThread is what a few pages cost while another thread of the process keeps another processor busy: the kernel
// interrupts that for every page that is protected or copied. In wall time, since the thread's own is the process's, too.
func (b *run) besideThread() error {
	p, subjects := scatteredFresh(), []memstore.Tracker{memstore.TrackerAdaptive, memstore.TrackerNaive}
	var alone, beside [2]time.Duration
	for i, name := range subjects {
		err := b.with(name, source{}, smallPages, false, func(s series) error {
			if _, err := s.message("write", random("all", smallPages), 1, false); err != nil {
				return err
			}
			for _, m := range []*time.Duration{&alone[i], &beside[i]} {
				samples, err := b.repeat(s, "write", p, 100, 100)
				if err != nil {
					return err
				}
				_, wall, _ := costs(samples)
				*m, _, _ = summary(wall)
				if m == &alone[i] {
					stop := busyThread()
					defer stop()
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	b.figure(p.Name+" of 64 MiB, beside a busy thread", "6x under naive", fmt.Sprintf("%.1f us, %.1fx; without the thread %.1f us, %.1fx", micros(beside[0]), ratio(beside[1], beside[0]), micros(alone[0]), ratio(alone[1], alone[0])),
		ratio(beside[1], beside[0]) >= 6, map[string]float64{"adaptive": micros(beside[0]), "naive": micros(beside[1]), "adaptive alone": micros(alone[0]), "naive alone": micros(alone[1])})
	return nil
}

// busyThread keeps a processor busy until stop is called.
func busyThread() (stop func()) {
	var over atomic.Bool
	done := make(chan bool)
	go func() {
		for !over.Load() {
		}
		close(done)
	}()
	return func() { over.Store(true); <-done }
}
