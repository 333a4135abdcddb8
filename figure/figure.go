package figure

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Figure is one of them; without a goal it is there to decide by.
type Figure struct {
	Work     string `json:"work"`
	Goal     string `json:"goal,omitempty"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
	// Values are what was measured, each named with its unit.
	Values map[string]float64 `json:"values,omitempty"`
	// Failed says why nothing could be measured.
	Failed string `json:"failed,omitempty"`
}

// WriteTable writes figures for people, a line each.
func WriteTable(w io.Writer, figures []Figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "work\tgoal\tmeasured\t")
	for _, f := range figures {
		mark := "missed"
		switch {
		case f.Failed != "":
			f.Measured, mark = f.Failed, ""
		case f.Goal == "":
			mark = ""
		case f.Met:
			mark = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Work, f.Goal, f.Measured, mark)
	}
	return t.Flush()
}
