package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Replicas says how replicas are named in a plan.
func Replicas() string {
	return fmt.Sprintf("numbers from 1 with commas between, or %s", joinWith(whos, ", "))
}

// Line is how a fault of the kind is written: "at TIME for TIME pause nodes=REPLICAS".
func (s Spec) Line() string {
	var b strings.Builder
	b.WriteString("at TIME ")
	if s.Lasting == Lasts {
		b.WriteString("for TIME ")
	}
	b.WriteString(string(s.Kind))
	for _, v := range (&Fault{Kind: s.Kind}).values() {
		switch {
		case slices.Contains(s.Needs, v.key):
			fmt.Fprintf(&b, " %s=%s", v.key, v.means)
		case slices.Contains(s.May, v.key):
			fmt.Fprintf(&b, " [%s=%s]", v.key, v.means)
		}
	}
	return b.String()
}
