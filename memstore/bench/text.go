package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"lockstep/figure"
	"lockstep/memstore"
)

// WriteText writes the figures, the mixed workload and the matrix as tables.
func (r *Result) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d processors, kernel %s\n", r.Machine.Processor, r.Machine.Processors, r.Machine.Kernel)
	fmt.Fprintf(w, "auto takes %s: %s\n\n", r.Machine.Probe.Tracker, r.Machine.Probe.Why)
	if err := figure.WriteTable(w, r.Figures); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t)
	r.textMixed(t)
	r.textMatrix(t)
	fmt.Fprintf(t, "\nmeasured in %v; times are processor time, medians, without the copying of changed pages into the store\n", r.Took.Round(time.Second))
	return t.Flush()
}

func (r *Result) textMixed(t io.Writer) {
	fmt.Fprintln(t, "mixed workload\tmean us\tmax ms\tsignals\tpage faults\tmean of naive\tmax of naive\tbackground us a message\tMiB brought in\tlongest")
	naive := map[int]MixedRow{}
	for _, m := range r.Mixed {
		if m.Tracker == memstore.TrackerNaive {
			naive[m.Pass] = m
		}
	}
	for _, m := range slices.Concat(r.Mixed, r.Stream) {
		if m.Failed != "" {
			fmt.Fprintf(t, "%s, pass %d\t%s\n", m.Tracker, m.Pass, m.Failed)
			continue
		}
		n, name := naive[m.Pass], string(m.Tracker)
		if m.Wall {
			name += fmt.Sprintf(" alone, wall time, pauses of %v", m.Pause)
		}
		fmt.Fprintf(t, "%s, pass %d\t%.0f\t%.2f\t%d\t%d\t1/%.1f\t1/%.1f\t%.0f\t%d\t%s\n", name, m.Pass, micros(m.Mean), micros(m.Max)/1e3, m.Signals, m.PageFaults, ratio(n.Mean, m.Mean), ratio(n.Max, m.Max), micros(m.Background)/float64(max(m.Messages, 1)), m.BroughtIn>>8, m.Longest)
	}
	fmt.Fprintln(t)
}

func (r *Result) textMatrix(t io.Writer) {
	fmt.Fprintln(t, "call\tsource\tpattern\top\ttracker\tus\tus a page\tquartiles\tsignals\tsystem calls\tfaults\tcopied\tcompared\tunder naive\tof untracked\tsave us")
	for _, c := range r.Cells {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t", c.Call, c.Source, c.Pattern, c.Op, c.Tracker)
		if c.Failed != "" {
			fmt.Fprintln(t, c.Failed)
			continue
		}
		n := c.Counts
		fmt.Fprintf(t, "%.1f\t%.3f\t%.1f-%.1f\t%d\t%d\t%d\t%d\t%d\t%.1fx\t%.2f\t%.1f\n", micros(c.Median), c.PerPage(), micros(c.Low), micros(c.High),
			n.Signals, n.Syscalls, n.PageFaults, n.Copied, n.Compared, c.OverNaive, c.OfUntracked, micros(c.Save))
	}
}
