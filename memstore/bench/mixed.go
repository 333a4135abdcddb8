package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"lockstep/memstore"
)

// job is a message of the mixed workload.
type job struct {
	op      string
	pattern Pattern
}

// mixedJobs is mostly small messages and some that touch tens of MiB, as in the article.
func mixedJobs(n int) []job {
	named := func(name string, p Pattern) Pattern { p.Name = name; return p }
	small := []job{
		{"write", named("counters", scattered())},
		{"write", named("new places", scatteredFresh())},
		{"read-write", Pattern{Name: "a record", Pages: 20, mul: 1, add: 9000}},
		{"read", Pattern{Name: "look-ups", Pages: 40, mul: scatter, add: 3, fresh: true}},
		{"write", named("a queue", clustered())},
	}
	large := []job{
		{"read", named("scan 64 MiB", sequential(64<<8))},
		{"write", named("fill 32 MiB", sequential(32<<8))},
		{"read-write", named("sort 32 MiB backward", backward(32<<8))},
		{"read-write", named("rehash 2000 pages", random("", 2000))},
	}
	rng := rand.New(rand.NewPCG(7, 7))
	jobs := make([]job, n)
	for i := range jobs {
		if i%16 == 15 {
			jobs[i] = large[i/16%len(large)]
		} else {
			jobs[i] = small[rng.IntN(len(small))]
		}
	}
	return jobs
}

func mixedTrackers() []memstore.Tracker {
	return []memstore.Tracker{
		memstore.TrackerNaive, "prefetch-map", "prefetch-query", "prefetch-ahead", memstore.TrackerPrefetch,
		memstore.TrackerWholePage, memstore.TrackerCow, memstore.TrackerUffd, memstore.TrackerAdaptive, noPause, untracked, resident,
	}
}

// mixed runs the same messages under every tracker, twice, interleaved.
func (b *run) mixed() error {
	file, err := contentsFile(b.config.Dir, matrixPages)
	if err != nil {
		return err
	}
	defer file.Close()
	names := mixedTrackers()
	subjects := make([]series, len(names))
	rows := make([][2]MixedRow, len(names))
	for i, name := range names {
		if subjects[i], err = b.subject(name, source{file: file}, matrixPages, false); err != nil {
			rows[i][0].Failed, rows[i][1].Failed = shortMessage(err), shortMessage(err)
			subjects[i] = nil
			continue
		}
		defer subjects[i].close()
	}
	jobs := mixedJobs(128)
	for pass := range 2 {
		b.config.Progress([]string{"mixed workload, first pass", "mixed workload, second pass"}[pass])
		for n, j := range jobs {
			for i := range names {
				if err := b.ctx.Err(); err != nil {
					return err
				}
				b.heat()
				rows[i][pass].add(subjects[i], j, n+pass*len(jobs))
			}
			b.rest()
		}
	}
	for pass := range 2 {
		for i, name := range names {
			row := rows[i][pass]
			row.Tracker, row.Pass = name, pass+1
			row.finish()
			if pass > 0 {
				row.since(rows[i][0])
			}
			b.result.Mixed = append(b.result.Mixed, row)
		}
	}
	return nil
}

// stream runs the mixed workload under adaptive alone, with the store's own worker beside it, twice: one message right after
// the other, and with pauses. Messages that wait for the worker have waited, so times are wall time.
func (b *run) stream() error {
	file, err := contentsFile(b.config.Dir, matrixPages)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, pause := range []time.Duration{0, pauseAfter} {
		b.config.Progress(fmt.Sprintf("mixed workload alone, pauses of %v", pause))
		if err := b.streamOf(file, pause); err != nil {
			return err
		}
	}
	return nil
}

func (b *run) streamOf(file *os.File, pause time.Duration) error {
	store, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := newTracked(b.workshop, store, memstore.TrackerAdaptive, source{file: file}, matrixPages, false)
	if err != nil {
		return err
	}
	defer s.close()
	s.config.Clock = nil // the parts by the wall's clock, too
	if err := s.reattach(); err != nil {
		return err
	}
	jobs := mixedJobs(128)
	b.heat()
	var first MixedRow
	for pass := range 2 {
		row := MixedRow{Tracker: memstore.TrackerAdaptive, Pass: pass + 1, Wall: true, Pause: pause}
		for n, j := range jobs {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			row.add(s, j, n+pass*len(jobs))
			time.Sleep(pause)
		}
		row.finish()
		if pass == 0 {
			first = row
		} else {
			row.since(first)
		}
		b.result.Stream = append(b.result.Stream, row)
	}
	return nil
}

// add runs one message; Mean holds the sum until the end.
func (r *MixedRow) add(subject series, j job, n int) {
	if r.Failed != "" {
		return
	}
	one, err := subject.message(j.op, j.pattern, n+1, false)
	if err != nil {
		r.Failed = shortMessage(err)
		return
	}
	if r.Wall {
		one.CPU = one.Wall
	}
	r.Background, r.BroughtIn = one.Background, one.BroughtIn
	name := j.op + ", " + j.pattern.Name
	k := slices.IndexFunc(r.Jobs, func(s MixedJob) bool { return s.Name == name })
	if k < 0 {
		k = len(r.Jobs)
		r.Jobs = append(r.Jobs, MixedJob{Name: name})
	}
	s := &r.Jobs[k]
	s.Messages++
	s.Mean += one.CPU
	s.Max = max(s.Max, one.CPU)
	s.Compare = max(s.Compare, one.Compare)
	s.PageFaults += one.Counts.PageFaults
	r.Signals += one.Counts.Signals
}

// since leaves in a second pass's row what was done between messages in that pass.
func (r *MixedRow) since(first MixedRow) {
	r.Background -= first.Background
	r.BroughtIn -= first.BroughtIn
}

// finish makes means of sums, and the row of its jobs.
func (r *MixedRow) finish() {
	for i := range r.Jobs {
		j := &r.Jobs[i]
		r.Messages += j.Messages
		r.Mean += j.Mean
		r.PageFaults += j.PageFaults
		if j.Max > r.Max {
			r.Max, r.Longest = j.Max, j.Name
		}
		j.Mean /= time.Duration(j.Messages)
		j.PageFaults /= uint64(j.Messages)
	}
	r.Mean /= time.Duration(max(r.Messages, 1))
}
