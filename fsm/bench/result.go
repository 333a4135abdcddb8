package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/figure"
)

// Result is everything that one run measured.
type Result struct {
	Kernel     string          `json:"kernel"`
	Processors int             `json:"processors"`
	Dir        string          `json:"dir"`
	Figures    []figure.Figure `json:"figures"`
	Seconds    float64         `json:"seconds"`
}

func newResult(dir string) *Result {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return &Result{Kernel: unix.ByteSliceToString(u.Release[:]), Processors: runtime.NumCPU(), Dir: dir}
}

// WriteJSON writes the result for machines.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the figures as a table.
func (r *Result) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%d processors, kernel %s, files in %s\n\n", r.Processors, r.Kernel, r.Dir)
	if err := figure.WriteTable(w, r.Figures); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nmeasured in %.0f s\n", r.Seconds)
	return err
}

func median(d []time.Duration) time.Duration { return quantile(d, 0.5) }

// quantile is 0 for no samples.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// rate is in MiB a second.
func rate(bytes int, d time.Duration) float64 {
	return float64(bytes) / (1 << 20) / max(d, 1).Seconds()
}
