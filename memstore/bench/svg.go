package bench

import (
	"fmt"
	"io"
	"math"
	"time"

	"lockstep/memstore"
)

// WriteSVG draws mean and longest message of the mixed workload's second pass, a bar a tracker, on a logarithmic scale.
// The picture needs nothing beside itself.
func (r *Result) WriteSVG(w io.Writer) error {
	var rows []MixedRow
	var naive MixedRow
	for _, m := range r.Mixed {
		if m.Pass == 2 && m.Failed == "" {
			rows = append(rows, m)
			if m.Tracker == memstore.TrackerNaive {
				naive = m
			}
		}
	}
	const left, width, line, gap = 150, 560, 16, 10
	height := 90 + len(rows)*(2*line+gap)
	p := &printer{w: w}
	p.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", left+width+130, height)
	p.f(`<rect width="100%%" height="100%%" fill="#fff"/>` + "\n")
	p.f(`<text x="10" y="22" font-size="16" font-weight="bold">Time of a message under each tracker</text>` + "\n")
	p.f(`<text x="10" y="40" fill="#555">mixed workload, steady, 2 ms between messages where not said otherwise; processor time, logarithmic; factors are to naive</text>` + "\n")
	low, high := 1.0, 1.0
	for _, m := range rows {
		high = max(high, micros(m.Max))
	}
	span := math.Log10(high*1.5) - math.Log10(low)
	scale := func(d time.Duration) float64 {
		return max(2, (math.Log10(max(micros(d), low))-math.Log10(low))/span*width)
	}
	for e := 0; math.Pow10(e) < high*1.5; e++ {
		x := left + float64(e)/span*width
		p.f(`<line x1="%.1f" y1="52" x2="%.1f" y2="%d" stroke="#ddd"/>`, x, x, height-30)
		p.f(`<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%v</text>`+"\n", x, height-14, time.Duration(math.Pow10(e+3)))
	}
	for i, m := range rows {
		y := 58 + i*(2*line+gap)
		p.f(`<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+line+4, m.Tracker)
		for k, bar := range []struct {
			d, n time.Duration
			fill string
			name string
		}{{m.Mean, naive.Mean, "#4878a8", "mean"}, {m.Max, naive.Max, "#c8843c", "longest"}} {
			p.f(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y+k*line, scale(bar.d), line-2, bar.fill)
			p.f(`<text x="%.1f" y="%d" font-size="11">%s %v, 1/%.1f</text>`+"\n", left+scale(bar.d)+5, y+k*line+11, bar.name, bar.d.Round(time.Microsecond/10), ratio(bar.n, bar.d))
		}
	}
	p.f("</svg>\n")
	return p.err
}

// printer keeps the first error of many prints.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
