package bench

import (
	"bytes"
	"fmt"
	"time"

	"lockstep/figure"
	"lockstep/memstore"
)

const (
	bigPages   = 1 << 20 // 4 GiB
	smallPages = 1 << 14 // 64 MiB
	midPages   = 1 << 16 // 256 MiB
	bigNeeds   = 11 << 30
	bigTouched = 17 << 29 // 4 GiB in the guest, 4 GiB in the store, tables
)

// figures measures the figures that have goals.
func (b *run) figures() error {
	for _, f := range []func() error{b.mixedFigures, b.sequentialFigures, b.coldFigures, b.warmFigures, b.bigFigures} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// figure records one; x is what was measured, goal its bound.
func (b *run) figure(work, goal, measured string, met bool, values map[string]float64) {
	b.result.Figures = append(b.result.Figures, figure.Figure{Work: work, Goal: goal, Measured: measured, Met: met, Values: values})
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func (b *run) mixedFigures() error {
	find := func(name memstore.Tracker, pass int) MixedRow {
		for _, r := range b.result.Mixed {
			if r.Tracker == name && r.Pass == pass {
				return r
			}
		}
		return MixedRow{}
	}
	for pass := 1; pass <= 2; pass++ {
		naive, ours, busy := find(memstore.TrackerNaive, pass), find(memstore.TrackerAdaptive, pass), find(noPause, pass)
		mean, top := ratio(naive.Mean, ours.Mean), ratio(naive.Max, ours.Max)
		when := [...]string{"", " (restored memory)", " (steady)"}[pass]
		b.figure("mixed workload, mean message"+when, "10x under naive", fmt.Sprintf("%.1fx: %.0f us / %.0f us (and %.0f us between messages); without pauses %.1fx", mean, micros(naive.Mean), micros(ours.Mean),
			micros(ours.Background)/float64(max(ours.Messages, 1)), ratio(naive.Mean, busy.Mean)),
			mean >= 10, map[string]float64{"naive": micros(naive.Mean), "adaptive": micros(ours.Mean)})
		b.figure("mixed workload, longest message"+when, "30x under naive", fmt.Sprintf("%.1fx: %.1f ms / %.1f ms; without pauses %.1fx", top, micros(naive.Max)/1e3, micros(ours.Max)/1e3, ratio(naive.Max, busy.Max)),
			top >= 30, map[string]float64{"naive": micros(naive.Max), "adaptive": micros(ours.Max)})
	}
	return nil
}

// with opens a series over a file of contents, or zeroes, and closes it.
func (b *run) with(name memstore.Tracker, from source, pages memstore.PageCount, query bool, f func(series) error) error {
	s, err := b.subject(name, from, pages, query)
	if err != nil {
		return err
	}
	defer settleHeap()
	defer s.close()
	return f(s)
}

// warm is the median of repeated messages of a subject of its own. Trackers that keep the memory get every page written
// once before, so that no first touch of a page is among the samples.
func (b *run) warm(name memstore.Tracker, from source, pages memstore.PageCount, op string, p Pattern, warmups, n int) (last Sample, cpu time.Duration, err error) {
	err = b.with(name, from, pages, false, func(s series) error {
		if name == memstore.TrackerAdaptive {
			if _, err := s.message("write", sequential(int(pages)), 1, false); err != nil {
				return err
			}
		}
		samples, err := b.repeat(s, op, p, warmups, n)
		if err == nil {
			last, cpu = samples[len(samples)-1], medianCPU(samples)
			last.Compare = cpu - medianFinding(samples)
		}
		return err
	})
	return last, cpu, err
}

func (b *run) sequentialFigures() error {
	b.config.Progress("figures: prefetch")
	file, err := contentsFile(b.config.Dir, smallPages)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, op := range []string{"read", "write"} {
		n, naive, err := b.warm(memstore.TrackerNaive, source{file: file}, smallPages, op, sequential(4096), 1, 5)
		if err != nil {
			return err
		}
		p, prefetch, err := b.warm(memstore.TrackerPrefetch, source{file: file}, smallPages, op, sequential(4096), 1, 5)
		if err != nil {
			return err
		}
		fewer, faster := float64(n.Counts.Signals)/float64(p.Counts.Signals), ratio(naive, prefetch)
		b.figure("prefetch, sequential "+op, "10x fewer signals, 3x faster",
			fmt.Sprintf("%.0fx fewer (%d / %d), %.1fx faster", fewer, n.Counts.Signals, p.Counts.Signals, faster),
			fewer >= 10 && faster >= 3, map[string]float64{"naive": micros(naive), "prefetch": micros(prefetch)})
	}
	return nil
}

// coldFigures measures the first message after a restart, mapping included, against untracked.
func (b *run) coldFigures() error {
	b.config.Progress("figures: cold messages")
	file, err := contentsFile(b.config.Dir, midPages)
	if err != nil {
		return err
	}
	defer file.Close()
	from := source{file: file}
	for _, c := range []struct {
		p    Pattern
		goal float64
		n    int
	}{{scattered(), 1.7, 12}, {random("1 %", midPages/100), 1.1, 8}, {random("10 %", midPages/10), 1.1, 4}} {
		var ours, finding, plain []time.Duration
		err := b.with(untracked, from, midPages, false, func(u series) error {
			for i := range c.n {
				s, err := u.message("write", c.p, i+1, true)
				if err != nil {
					return err
				}
				plain = append(plain, s.CPU)
				if s, err = b.cold(from, c.p, i+1); err != nil {
					return err
				}
				ours, finding = append(ours, s.CPU), append(finding, s.CPU-s.Compare)
			}
			return nil
		})
		if err != nil {
			return err
		}
		o, _, _ := summary(ours)
		u, _, _ := summary(plain)
		f, _, _ := summary(finding)
		b.figure("cold message, "+c.p.Name, fmt.Sprintf("%.1fx of untracked", c.goal), fmt.Sprintf("%.2fx: %.0f us / %.0f us; with comparing %.2fx", ratio(f, u), micros(f), micros(u), ratio(o, u)),
			ratio(f, u) <= c.goal, map[string]float64{"adaptive": micros(o), "untracked": micros(u)})
	}
	return nil
}

// cold attaches, runs one message and detaches, all of it measured. Finding the layout is not: it is kept from instance
// to instance.
func (b *run) cold(from source, p Pattern, x int) (sample Sample, err error) {
	err = b.with(memstore.TrackerAdaptive, from, midPages, false, func(s series) error {
		t := s.(*tracked)
		sample, err = t.message("write", p, x, true)
		return err
	})
	return sample, err
}

func (b *run) warmFigures() error {
	b.config.Progress("figures: warm messages")
	file, err := contentsFile(b.config.Dir, midPages)
	if err != nil {
		return err
	}
	defer file.Close()
	from := source{file: file}
	for _, p := range []Pattern{
		{Name: "1 % of pages, the same each time", Pages: midPages / 100, mul: scatter, add: 77},
		{Name: "10 % of pages, the same each time", Pages: midPages / 10, mul: scatter, add: 77},
		random("1 % of pages, new each time", midPages/100), random("10 % of pages, new each time", midPages/10),
	} {
		samples := 5
		if p.Pages < 1000 { // short ones vary more
			samples = 25
		}
		_, plain, err := b.warm(untracked, from, midPages, "write", p, 1, samples)
		if err != nil {
			return err
		}
		_, naive, err := b.warm(memstore.TrackerNaive, from, midPages, "write", p, 0, 1)
		if err != nil {
			return err
		}
		last, ours, err := b.warm(memstore.TrackerAdaptive, from, midPages, "write", p, 12, samples)
		if err != nil {
			return err
		}
		find := ours - last.Compare
		b.figure("random "+p.Name, "0.4x of untracked, 13x under naive", fmt.Sprintf("%.2fx, %.1fx: %.2f us a page; with comparing %.2fx, %.1fx", ratio(find, plain), ratio(naive, find), micros(find)/float64(p.Pages), ratio(ours, plain), ratio(naive, ours)),
			ratio(find, plain) <= 0.4 && ratio(naive, find) >= 13, map[string]float64{"adaptive": micros(ours), "untracked": micros(plain), "naive": micros(naive)})
	}
	return b.denseFigures(from)
}

func (b *run) denseFigures(from source) error {
	p := dense(256 << 20)
	_, plain, err := b.warm(untracked, from, midPages, "write", p, 0, 3)
	if err != nil {
		return err
	}
	_, limit, err := b.warm(resident, from, midPages, "write", p, 1, 3)
	if err != nil {
		return err
	}
	last, ours, err := b.warm(memstore.TrackerAdaptive, from, midPages, "write", p, 16, 5)
	if err != nil {
		return err
	}
	b.figure("dense 256 MiB, warm", "0.10x of untracked", fmt.Sprintf("%.2fx (resident alone %.2fx): %.2f us a page, %d signals", ratio(ours, plain), ratio(limit, plain), micros(ours)/float64(p.Pages), last.Counts.Signals),
		ratio(ours, plain) <= 0.1, map[string]float64{"adaptive": micros(ours), "untracked": micros(plain), "resident": micros(limit)})
	commit := last.Save + last.Compare
	b.figure("commit of 65536 changed pages (compare, copy, trie)", "2.5 us a page", fmt.Sprintf("%.2f us a page", micros(commit)/float64(p.Pages)),
		micros(commit)/float64(p.Pages) <= 2.5, map[string]float64{"compare": micros(last.Compare), "save": micros(last.Save)})

	each := sequential(midPages)
	last, ours, err = b.warm(memstore.TrackerAdaptive, from, midPages, "write", each, 16, 5)
	if err != nil {
		return err
	}
	compare := memcmp(midPages)
	b.figure("one word in every page, warm", "1.1x of one memcmp of the bytes", fmt.Sprintf("%.2fx: %.2f us a page", ratio(ours, compare), micros(ours)/midPages),
		ratio(ours, compare) <= 1.1, map[string]float64{"adaptive": micros(ours), "memcmp": micros(compare)})
	b.figure("signals in a steady state", "0 a message", fmt.Sprintf("%d", last.Counts.Signals), last.Counts.Signals == 0, nil)
	return nil
}

// memcmp is the time to compare two equal areas once.
func memcmp(pages int) time.Duration {
	x, y := make([]byte, pages*memstore.PageSize), make([]byte, pages*memstore.PageSize)
	for i := 0; i < len(x); i += memstore.PageSize {
		x[i], y[i] = 1, 1
	}
	var all []time.Duration
	for range 5 {
		s, _ := measure(func() error { // in steps, as a comparison by pages has it
			for i := 0; i < len(x); i += memstore.PageSize {
				if !bytes.Equal(x[i:i+memstore.PageSize], y[i:i+memstore.PageSize]) {
					panic("bench: equal areas differ")
				}
			}
			return nil
		})
		all = append(all, s.CPU)
	}
	m, _, _ := summary(all)
	return m
}
