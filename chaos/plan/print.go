package plan

import (
	"fmt"
	"strings"
)

// magic is the first line, with the version of the format.
const magic = "lockstep-plan 1"

// String is the plan's text.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nseed %d\n", magic, p.Seed)
	for _, line := range p.lines() {
		if text := printValues(line.values); text != "" {
			b.WriteString(line.word + text + "\n")
		}
	}
	for i := range p.Replicas {
		fmt.Fprintf(&b, "replica %d%s\n", i+1, printValues(p.Replicas[i].values()))
	}
	if words := p.Allow.words(); len(words) > 0 {
		fmt.Fprintf(&b, "allow %s\n", strings.Join(words, " "))
	}
	for i := range p.Faults {
		b.WriteString(p.Faults[i].String() + "\n")
	}
	return b.String()
}

// String is the fault's line.
func (f *Fault) String() string {
	text := "at " + f.At.String()
	if f.For != 0 {
		text += " for " + f.For.String()
	}
	return text + " " + string(f.Kind) + printValues(f.values())
}

// planLine is a line of key=value pairs that a plan has at most once.
type planLine struct {
	word   string
	values []value
}

func (p *Plan) lines() []planLine {
	return []planLine{{"drawn", p.Drawn.values()}, {"time", p.Time.values()}, {"cluster", p.Cluster.values()},
		{"workload", p.Workload.values()}}
}

// printValues prints what is not zero.
func printValues(values []value) string {
	var b strings.Builder
	for _, v := range values {
		if text := v.print(); text != "" {
			b.WriteString(" " + string(v.key) + "=" + text)
		}
	}
	return b.String()
}

func (a Allow) words() []string {
	var words []string
	if a.Stall {
		words = append(words, "stall")
	}
	if a.Loss {
		words = append(words, "loss")
	}
	return words
}
