package bench

import (
	"fmt"
	"time"

	"lockstep/memstore"
)

const matrixPages = 1 << 16 // 256 MiB

const outOfTime = "not run: out of time"

var ops = []string{"read", "write", "read-write"}

func matrixPatterns() []Pattern {
	return []Pattern{
		clustered(), scattered(), random("random 1 %", matrixPages/100), sequential(4096), backward(4096),
		random("random 10 %", matrixPages/10), dense(matrixPages * memstore.PageSize),
	}
}

// matrixTrackers are the subjects of the matrix, the yardsticks first.
func matrixTrackers() []memstore.Tracker {
	return []memstore.Tracker{
		untracked, resident, memstore.TrackerNaive, memstore.TrackerPrefetch, memstore.TrackerWholePage, memstore.TrackerCow,
		memstore.TrackerUffd, memstore.TrackerAdaptive, memstore.TrackerCompare,
	}
}

// wholeRun is how long Run takes at most, but for the message that is running when it is over.
const wholeRun = 165 * time.Second

// matrix measures every cell until the budget is used up.
func (b *run) matrix() error {
	file, err := contentsFile(b.config.Dir, matrixPages)
	if err != nil {
		return err
	}
	defer file.Close()
	end := b.started.Add(wholeRun)
	if b.config.Budget > 0 {
		end = time.Now().Add(b.config.Budget)
	}
	sources := []source{{Name: "checkpoint", file: file}, {Name: "delta", file: file, copy: true}, {Name: "fresh"}}
	calls := []string{"update", "query"}
	left := len(calls) * len(sources)
	for _, call := range calls {
		for _, from := range sources {
			// Every block gets its share of what is left, so that a slow machine loses the longest cells of each of them
			// and not whole blocks; updates take the larger part.
			share := time.Until(end) / time.Duration(left)
			if call == "update" {
				share = time.Until(end) * 2 / time.Duration(2*left-len(sources))
			}
			b.deadline = time.Now().Add(share)
			left--
			b.config.Progress(fmt.Sprintf("matrix: %s, contents from %s", call, from.Name))
			if err := b.block(call, from); err != nil {
				return err
			}
		}
	}
	return nil
}

// block measures all patterns of one call and source, all trackers interleaved.
func (b *run) block(call string, from source) error {
	names := matrixTrackers()
	subjects := make([]series, len(names))
	defer func() {
		for _, s := range subjects {
			if s != nil {
				_ = s.close()
			}
		}
		settleHeap()
	}()
	failed := make([]string, len(names))
	began := time.Now()
	for i, name := range names {
		if time.Now().After(b.deadline) {
			break
		}
		var err error
		if subjects[i], err = b.subject(name, from, matrixPages, call == "query"); err != nil {
			subjects[i], failed[i] = nil, shortMessage(err)
		}
	}
	b.deadline = b.deadline.Add(time.Since(began)) // filling the store takes none of the block's share
	for _, p := range matrixPatterns() {
		for _, op := range ops {
			cells := make([]Cell, len(names))
			for i, name := range names {
				cells[i] = Cell{Call: call, Op: op, Pattern: p.Name, Source: from.Name, Tracker: name, Pages: p.Pages, Failed: failed[i]}
			}
			if time.Now().After(b.deadline) {
				for i := range cells {
					cells[i].Failed = outOfTime
				}
			} else if err := b.cell(cells, subjects, p); err != nil {
				return err
			}
			compareCells(cells)
			b.result.Cells = append(b.result.Cells, cells...)
		}
	}
	return nil
}

// plan is how many messages of a cell are for warming up and how many are counted.
func plan(name memstore.Tracker, p Pattern) (warmups, samples int) {
	switch {
	case p.Pages <= 10:
		warmups, samples = 12, 25
	case p.Pages < 1000:
		warmups, samples = 4, 5
	default:
		warmups, samples = 3, 3
	}
	switch name {
	case memstore.TrackerCompare, memstore.TrackerCow: // what they cost depends on the memory, and hardly varies
		warmups, samples = min(warmups, 1), min(samples, 3)
	case memstore.TrackerNaive, memstore.TrackerPrefetch, memstore.TrackerWholePage, untracked:
		warmups = min(warmups, 1) // they start afresh with every message
		if p.Pages >= 1000 {
			warmups, samples = 0, 1
		}
	case memstore.TrackerUffd, resident: // nothing to learn
		warmups = min(warmups, 1)
	}
	if p.Pages == matrixPages && name != memstore.TrackerAdaptive {
		warmups, samples = min(warmups, 1), 1
	}
	return warmups, samples
}

// cell runs the messages of one place of the matrix, one of each subject in turn.
func (b *run) cell(cells []Cell, subjects []series, p Pattern) error {
	samples := make([][]Sample, len(cells))
	for n, more := 0, true; more; n++ {
		more = false
		for i := range cells {
			c := &cells[i]
			warmups, want := plan(c.Tracker, p)
			if c.Failed != "" || n >= warmups+want {
				continue
			}
			if err := b.ctx.Err(); err != nil {
				return err
			}
			if time.Now().After(b.deadline) {
				continue
			}
			b.heat()
			s, err := subjects[i].message(c.Op, p, n+1, false)
			if err != nil {
				c.Failed = shortMessage(err)
				continue
			}
			if n == 0 {
				c.First = s.CPU
			}
			if n >= warmups {
				samples[i] = append(samples[i], s)
			}
			more = more || n+1 < warmups+want
		}
		b.rest()
	}
	for i := range cells {
		cells[i].summarise(samples[i])
	}
	return nil
}

func (c *Cell) summarise(samples []Sample) {
	if c.Samples = len(samples); c.Samples == 0 {
		if c.Failed == "" {
			c.Failed = outOfTime
		}
		return
	}
	cpu, wall, save := costs(samples)
	c.Median, c.Low, c.High = summary(cpu)
	c.Wall, _, _ = summary(wall)
	c.Save, _, _ = summary(save)
	c.Counts = samples[len(samples)-1].Counts
}

// compareCells fills in the ratios of cells that differ by tracker only.
func compareCells(cells []Cell) {
	median := map[memstore.Tracker]time.Duration{}
	for _, c := range cells {
		median[c.Tracker] = c.Median
	}
	for i := range cells {
		c := &cells[i]
		if c.Median == 0 {
			continue
		}
		c.OverNaive = float64(median[memstore.TrackerNaive]) / float64(c.Median)
		if u := median[untracked]; u > 0 {
			c.OfUntracked = float64(c.Median) / float64(u)
		}
		c.OverResident = c.Median - median[resident]
	}
}
