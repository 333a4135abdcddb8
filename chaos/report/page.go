package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// pictureTime bounds the search for the picture, maxPlanShown the bytes of the plan.
const (
	pictureTime  = 2 * time.Second
	maxPlanShown = 64 << 10
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

//go:embed look.js
var lookJS string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": history.Clock, "doc": check.Doc,
}).Parse(pageHTML))

// Page is what a report shows.
type Page struct {
	Plan    string
	Log     *history.Log
	Verdict check.Verdict
	// Died is whether the folder has what a simulation printed when it died.
	Died bool
}

// Render writes the page: one self-contained HTML file.
func Render(w io.Writer, p Page) error {
	data, err := json.Marshal(picture(p.Log, p.Verdict))
	if err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	var calls bytes.Buffer
	if err := Picture(&calls, p.Log, p.Verdict); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	embedded, err := json.Marshal(calls.String())
	if err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	// The data are put between script tags: json.Marshal escapes <, > and &.
	return pageTemplate.Execute(w, map[string]any{
		"Style": template.CSS(pageCSS), "Script": template.JS(pageJS + lookJS), "Data": template.JS(data), "Calls": template.JS(embedded),
		"V": p.Verdict, "H": p.Log.Header, "Plan": beginning(p.Plan), "Cut": p.Log.Cut, "Died": p.Died,
		"Title": title(p.Verdict), "Text": afterColon(p.Verdict.Sentence), "Violations": violations(p.Verdict), "Marks": marks(p.Verdict),
		"Facts": facts(p), "Fitting": until(p.Verdict) == history.NoReturn,
	})
}

func title(v check.Verdict) string {
	switch v.Judgement {
	case check.Agreed:
		return "Agreed"
	case check.Violated:
		return "Violation"
	case check.HarnessError:
		return "Harness error"
	}
	return "Undecided"
}

// afterColon is the sentence without the word that the page shows as a badge.
func afterColon(sentence string) string {
	if _, rest, ok := strings.Cut(sentence, ": "); ok {
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return sentence
}

// beginning is the beginning of a plan: all of it, unless it is longer than what anybody reads.
func beginning(plan string) string {
	if len(plan) <= maxPlanShown {
		return plan
	}
	whole := plan[:strings.LastIndexByte(plan[:maxPlanShown], '\n')+1]
	return whole + fmt.Sprintf("… %d more lines are in the file\n", strings.Count(plan[len(whole):], "\n"))
}

// violations are those of a verdict: the one that its sentence is about, and then the others in the order of time.
func violations(v check.Verdict) []*check.Violation {
	var all []*check.Violation
	for _, f := range v.Findings {
		if f.Violation != nil {
			all = append(all, f.Violation)
		}
	}
	slices.SortStableFunc(all, func(a, b *check.Violation) int {
		if first, second := a.Checker == v.Leading, b.Checker == v.Leading; first != second {
			if first {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.At, b.At)
	})
	return all
}

// mark is a rare path with how often it was reached.
type mark struct {
	Name  history.MarkName
	Count uint64
}

func marks(v check.Verdict) []mark {
	var all []mark
	for _, name := range history.MarkNames() {
		all = append(all, mark{name, v.Marks[name]})
	}
	return all
}

// facts are the numbers of the run for the page's head.
func facts(p Page) []history.Parameter {
	t := p.Verdict.Totals
	all := []history.Parameter{
		{Name: "seed", Value: fmt.Sprint(p.Log.Header.Seed)},
		{Name: "layer", Value: p.Log.Header.Layer},
		{Name: "replicas", Value: fmt.Sprint(p.Log.Header.Replicas)},
		{Name: "time", Value: t.Duration.Round(10 * time.Millisecond).String()},
		{Name: "rounds", Value: fmt.Sprint(t.Rounds)},
		{Name: "calls ok", Value: fmt.Sprint(t.OK)},
		{Name: "refused", Value: fmt.Sprint(t.Refused)},
		{Name: "unknown", Value: fmt.Sprint(t.Unknown)},
	}
	if p.Log.Header.Program != "" {
		all = append(all, history.Parameter{Name: "program", Value: p.Log.Header.Program})
	}
	return all
}
