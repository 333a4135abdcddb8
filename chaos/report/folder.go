package report

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// The names in a run's folder.
const (
	PlanFile    = "plan"
	HistoryFile = "history.jsonl"
	FaultsFile  = "faults.jsonl"
	RootsFile   = "roots.csv"
	VerdictFile = "verdict.json"
	PageFile    = "report.html"
	OutputFile  = "output.txt" // of a simulation that died
	LogsFolder  = "logs"
)

// maxVerdictBytes and maxPlanBytes bound what Load reads of files that are small.
const (
	maxVerdictBytes = 64 << 20
	maxPlanBytes    = 4 << 20
)

// Run is a folder that is being filled.
type Run struct {
	dir      string
	plan     string
	recorder *history.Recorder
	files    []*os.File
}

// Create makes the folder, which must not hold a run yet, with the plan and the beginning of the history. observe is told of
// every event; it may be nil. The caller must call Finish or Close.
func Create(dir, plan string, c history.RecorderConfig) (*Run, error) {
	if err := os.MkdirAll(filepath.Join(dir, LogsFolder), 0o755); err != nil {
		return nil, fmt.Errorf("make the report's folder: %w", err)
	}
	if name := Occupied(dir); name != "" {
		return nil, fmt.Errorf("%s holds the report of a run already (%s)", dir, name)
	}
	r := &Run{dir: dir, plan: plan}
	if err := write(dir, PlanFile, func(w io.Writer) error { _, err := io.WriteString(w, plan); return err }); err != nil {
		return nil, err
	}
	for _, o := range []struct {
		name string
		to   *io.Writer
	}{{HistoryFile, &c.Out}, {FaultsFile, &c.Faults}} {
		f, err := os.OpenFile(filepath.Join(dir, o.name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.files = append(r.files, f)
		*o.to = f
	}
	var err error
	if r.recorder, err = history.NewRecorder(c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Occupied gives the name of something in a folder that a report would write over, "" if there is nothing.
func Occupied(dir string) string {
	for _, name := range []string{HistoryFile, PageFile, VerdictFile, PlanFile, FaultsFile, RootsFile, OutputFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return name
		}
	}
	return ""
}

// Recorder takes the run's events.
func (r *Run) Recorder() *history.Recorder { return r.recorder }

// LogPath is where what a replica writes belongs.
func (r *Run) LogPath(node int) string {
	return filepath.Join(r.dir, LogsFolder, fmt.Sprintf("n%d.log", node))
}

// Close ends the history and leaves the rest of the folder away.
func (r *Run) Close() error {
	var errs []error
	if r.recorder != nil {
		errs = append(errs, r.recorder.Flush())
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	r.files = nil
	return errors.Join(errs...)
}

// KeepOutput keeps what a simulation printed, and its plan: all that there is of one that died.
func KeepOutput(dir, plan, output string) error {
	return errors.Join(write(dir, PlanFile, func(w io.Writer) error { _, err := io.WriteString(w, plan); return err }),
		write(dir, OutputFile, func(w io.Writer) error { _, err := io.WriteString(w, output); return err }))
}

// Finish ends the history and writes the rest of the folder.
func (r *Run) Finish(v check.Verdict) error {
	if err := r.Close(); err != nil {
		return err
	}
	l, err := readHistory(r.dir)
	if err != nil {
		return err
	}
	return writeAll(r.dir, Page{Plan: r.plan, Log: l, Verdict: v})
}

// writeAll writes what is made of the history.
func writeAll(dir string, p Page) error {
	_, err := os.Stat(filepath.Join(dir, OutputFile))
	p.Died = err == nil
	return errors.Join(
		write(dir, VerdictFile, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(p.Verdict)
		}),
		write(dir, RootsFile, func(w io.Writer) error { return history.WriteRoots(w, p.Log.Header.Replicas, p.Log.RootTable()) }),
		writeLogs(dir, p.Log),
		write(dir, PageFile, func(w io.Writer) error { return Render(w, p) }))
}

// writeLogs writes what each replica did, in words, where there is no log of its own: a simulated replica writes none.
func writeLogs(dir string, l *history.Log) error {
	if l.Header.Layer != "sim" {
		return nil
	}
	logs := filepath.Join(dir, LogsFolder)
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	var errs []error
	for n := range l.Header.Replicas {
		errs = append(errs, write(logs, fmt.Sprintf("n%d.log", n+1), func(w io.Writer) error {
			b := bufio.NewWriter(w)
			for i := range l.Events {
				if e := &l.Events[i]; int(e.Node) == n+1 && e.Kind != history.Invoked && e.Kind != history.Returned {
					fmt.Fprintln(b, e) // Flush tells
				}
			}
			return b.Flush()
		}))
	}
	return errors.Join(errs...)
}

// Complete writes what a folder with the history of a run that is over has besides it.
func Complete(dir, plan string, v check.Verdict) error {
	if err := write(dir, PlanFile, func(w io.Writer) error { _, err := io.WriteString(w, plan); return err }); err != nil {
		return err
	}
	l, err := readHistory(dir)
	if err != nil {
		return err
	}
	return writeAll(dir, Page{Plan: plan, Log: l, Verdict: v})
}

// write writes a file under another name and renames it when it is whole.
func write(dir, name string, content func(io.Writer) error) error {
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = errors.Join(content(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Loaded is a run's folder as it was read.
type Loaded struct {
	Plan string
	Log  *history.Log
	// Verdict is the one of the folder; nil if the run ended before it had one.
	Verdict *check.Verdict
}

// Load reads a run's folder. A plan that is not the one that its history tells of is refused.
func Load(dir string) (*Loaded, error) {
	var l Loaded
	plan, err := readSmall(filepath.Join(dir, PlanFile), maxPlanBytes)
	if err != nil {
		return nil, err
	}
	l.Plan = string(plan)
	if l.Log, err = readHistory(dir); err != nil {
		return nil, err
	}
	if got, want := history.DigestOf(plan), l.Log.Header.Plan; got != want {
		return nil, fmt.Errorf("%s has the digest %s, the run of %s had a plan with %s: they are not of one run", filepath.Join(dir, PlanFile), got, HistoryFile, want)
	}
	text, err := readSmall(filepath.Join(dir, VerdictFile), maxVerdictBytes)
	if errors.Is(err, os.ErrNotExist) {
		return &l, nil
	}
	if err != nil {
		return nil, err
	}
	l.Verdict = new(check.Verdict)
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(l.Verdict); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, VerdictFile), err)
	}
	return &l, nil
}

func readHistory(dir string) (*history.Log, error) {
	path := filepath.Join(dir, HistoryFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return history.Read(f, path, 0)
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, err
}

// Rejudge judges a run's folder again, by today's checkers, and writes its verdict and pages anew. What its history cannot give again is
// taken from the verdict that it has: findings of other means, and what a search found when the replicas' states were there.
func Rejudge(ctx context.Context, dir string, c check.Config) (check.Verdict, error) {
	l, err := Load(dir)
	if err != nil {
		return check.Failed(err), err
	}
	c.Before = l.Verdict
	v := check.Judge(ctx, l.Log, c)
	if l.Verdict != nil {
		keepWhere(&v, l.Verdict)
	}
	return v, writeAll(dir, Page{Plan: l.Plan, Log: l.Log, Verdict: v})
}

// keepWhere carries over what a search found about the same violations.
func keepWhere(v, before *check.Verdict) {
	for _, old := range before.Findings {
		for _, f := range v.Findings {
			if f.Checker == old.Checker && f.Violation != nil && old.Violation != nil && f.Violation.At == old.Violation.At &&
				f.Violation.Round == old.Violation.Round && f.Violation.Index == old.Violation.Index {
				f.Violation.Where, f.Violation.Searched = old.Violation.Where, old.Violation.Searched
			}
		}
	}
}
