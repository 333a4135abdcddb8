package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/real"
)

// chaosOutput is what `cluster chaos` prints, for people or as JSON Lines. Any goroutine may use it.
type chaosOutput struct {
	json   bool
	mu     sync.Mutex // guards what is printed
	w      io.Writer
	screen *screen
}

func newChaosOutput(w io.Writer, asJSON bool) *chaosOutput {
	return &chaosOutput{json: asJSON, w: w, screen: newScreen(w)}
}

// object prints a line of JSON.
func (t *chaosOutput) object(event string, fields map[string]any) {
	fields["event"] = event
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = json.NewEncoder(t.w).Encode(fields) // output that is gone sends SIGPIPE
}

func (t *chaosOutput) say(text string) {
	if t.json {
		t.object("note", map[string]any{"text": text})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.settle()
	fmt.Fprintln(t.w, text)
}

// plan prints all that a run is made of.
func (t *chaosOutput) plan(p *plan.Plan, layer string) {
	if t.json {
		t.object("plan", map[string]any{"layer": strings.TrimPrefix(layer, "--"), "seed": p.Seed, "plan": p.String()})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "%s\n", p)
	if b := p.Budget(); b.MayLose || b.MayStall {
		for _, reason := range b.Reasons {
			fmt.Fprintf(t.w, "# beyond what the cluster must survive: %s\n", reason)
		}
		fmt.Fprintln(t.w)
	}
}

// progress prints how a real run is.
func (t *chaosOutput) progress(p real.Progress) {
	if t.json {
		t.object("progress", map[string]any{"elapsed_ns": p.Elapsed, "phase": p.Phase, "round": p.Round, "leader": p.Leader, "up": p.Up,
			"faults": p.Begun, "verified": p.Verified})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	leader := "none"
	if p.Leader != 0 {
		leader = fmt.Sprintf("n%d", p.Leader)
	}
	t.screen.show([]string{fmt.Sprintf("%7s  %-6s  round %-6d  %d up, leader %-4s  %d faults, %d verified",
		p.Elapsed.Round(100*time.Millisecond), p.Phase, p.Round, p.Up, leader, p.Begun, p.Verified)})
}

// verdict prints what a run has come to.
func (t *chaosOutput) verdict(r chaosRun) {
	if t.json {
		t.object("verdict", r.fields())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.settle()
	fmt.Fprintf(t.w, "\n%s\n", r.verdict.Sentence)
	if r.figures != "" {
		fmt.Fprintf(t.w, "%s\n", r.figures)
	}
	if r.verdict.Judgement == check.Violated {
		t.explain(&r)
	}
	if page := r.page(); page != "" {
		fmt.Fprintf(t.w, "\nreport   %s\n", page)
	}
	if r.rerun != "" {
		fmt.Fprintf(t.w, "again    %s\n", r.rerun)
		if r.verdict.Judgement == check.Violated {
			fmt.Fprintf(t.w, "shrink   %s --shrink\n", r.rerun)
			fmt.Fprintln(t.w, "(the faults are the same again; what the scheduler decides is not: --runs 20 runs it until it fails)")
		}
	}
}

// explain prints what is known about a violation: the evidence, what was found in the logs, and the faults before it.
func (t *chaosOutput) explain(r *chaosRun) {
	for _, f := range r.verdict.Findings {
		v := f.Violation
		if v == nil || f.State != check.Broken {
			continue
		}
		fmt.Fprintf(t.w, "\n%s\n", v)
		for _, root := range v.Roots {
			fmt.Fprintf(t.w, "  root of %-22s %s\n", root.Who, root.Text)
		}
		if len(v.Where) > 0 {
			fmt.Fprintf(t.w, "  where it differs, found in %.2f s\n", v.Searched.Seconds())
			for _, line := range v.Where {
				fmt.Fprintf(t.w, "    %s\n", line)
			}
		}
		t.events("evidence", v.Evidence)
		t.events("before it", v.Before)
	}
}

func (t *chaosOutput) events(title string, events []history.Event) {
	if len(events) == 0 {
		return
	}
	fmt.Fprintf(t.w, "  %s\n", title)
	for i := range events {
		fmt.Fprintf(t.w, "    %s  %s\n", history.Clock(events[i].At), events[i].Words())
	}
}

func (r *chaosRun) fields() map[string]any {
	m := map[string]any{"judgement": r.verdict.Judgement, "sentence": r.verdict.Sentence, "verdict": r.verdict, "took_ns": r.took,
		"figures": r.figures, "struck": r.struck, "verified": r.verified}
	if page := r.page(); page != "" {
		m["report"] = page
	}
	if len(r.causes) > 0 {
		m["causes"] = r.causes
	}
	if r.rerun != "" {
		m["rerun"] = r.rerun
	}
	if r.rerun != "" && r.verdict.Judgement == check.Violated {
		m["shrink"] = r.rerun + " --shrink"
	}
	return m
}

// line prints one run of a batch.
func (t *chaosOutput) line(seed uint64, r chaosRun) {
	if t.json {
		m := r.fields()
		delete(m, "verdict")
		m["seed"], m["marks"] = seed, r.verdict.Marks
		t.object("run", m)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "seed %-8d %-13s %6d rounds  %3d of %-3d faults struck  %6s\n", seed, r.verdict.Judgement, r.verdict.Totals.Rounds,
		r.struck, len(r.verdict.Faults), r.took.Round(10*time.Millisecond))
	if r.verdict.Judgement == check.Agreed {
		return
	}
	for _, d := range r.causes {
		fmt.Fprintf(t.w, "    because of %s\n", d)
	}
	fmt.Fprintf(t.w, "    %s\n    again    %s\n", r.verdict.Sentence, r.rerun)
	if r.verdict.Judgement == check.Violated {
		fmt.Fprintf(t.w, "    shrink   %s --shrink\n", r.rerun)
	}
	if page := r.page(); page != "" {
		fmt.Fprintf(t.w, "    report   %s\n", page)
	}
}

// summary prints what a batch has come to. interruption says how far it was when it was ended, "" if it was over.
func (t *chaosOutput) summary(b *check.Batch, wanted []history.MarkName, found *chaosFound, figures, interruption string) {
	if t.json {
		t.object("summary", map[string]any{"sentence": b.Sentence(wanted), "runs": b.Runs, "marks": b.Marks, "missing": b.Missing(wanted),
			"idle": b.Idle(), "rounds": b.Rounds, "calls": b.Calls, "figures": figures, "interruption": interruption,
			"checks": found.checks, "causes": found.causes})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.w)
	if interruption != "" {
		fmt.Fprintf(t.w, "%s. ", strings.ToUpper(interruption[:1])+interruption[1:])
	}
	fmt.Fprintf(t.w, "%s\n%s\n", b.Sentence(wanted), figures)
	found.print(t.w)
}
