package replay

import (
	"bytes"
	"fmt"

	"lockstep/fsm"
)

// What is told in words: of each memory the first pages that differ, of those the first ranges, of those the first bytes.
const (
	pagesTold  = 4
	rangesTold = 3
	bytesTold  = 16
	// fieldsTold is how many values of the state besides canisters' are told.
	fieldsTold = 4
)

// Words tells a difference in lines that name its two sides.
func (d *StateDifference) Words(a, b string) []string {
	var lines []string
	field := func(where string, f FieldDifference) {
		lines = append(lines, fmt.Sprintf("%s%s: %s has %s, %s has %s", where, f.Name, a, orNothing(f.A), b, orNothing(f.B)))
	}
	for _, c := range d.Canisters {
		if c.Only != "" {
			lines = append(lines, fmt.Sprintf("canister %s: only %s has it", c.Name, map[string]string{"a": a, "b": b}[c.Only]))
		}
		lines = append(lines, c.words("canister "+c.Name+", page", a, b)...)
		if c.Stable != nil {
			lines = append(lines, c.Stable.words("canister "+c.Name+", stable page", a, b)...)
		}
		for _, f := range c.Fields {
			field("canister "+c.Name+", ", f)
		}
	}
	for i, f := range d.Fields {
		if i >= fieldsTold {
			lines = append(lines, fmt.Sprintf("%d more values of the state", len(d.Fields)-i))
			break
		}
		field("", f)
	}
	return lines
}

func (m *MemoryDifference) words(where, a, b string) []string {
	var lines []string
	for i, p := range m.Shown {
		if i >= pagesTold {
			break
		}
		for j, x := range p.Ranges {
			if j >= rangesTold {
				lines = append(lines, fmt.Sprintf("%s %d: %d more ranges of bytes", where, p.Page, len(p.Ranges)-j))
				break
			}
			lines = append(lines, fmt.Sprintf("%s %d, bytes %d to %d: %s has %s, %s has %s", where, p.Page, x.Offset,
				x.Offset+uint64(max(len(x.A), len(x.B)))-1, a, bytesText(x.A), b, bytesText(x.B)))
		}
	}
	if m.Pages > pagesTold {
		lines = append(lines, fmt.Sprintf("%ss: %d more", where, m.Pages-pagesTold))
	}
	return lines
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// bytesText is bytes as hexadecimal digits and as text, the beginning of many.
func bytesText(b []byte) string {
	more := ""
	if len(b) > bytesTold {
		b, more = b[:bytesTold], "…"
	}
	text := bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, b)
	return fmt.Sprintf("%x%s |%s|", b, more, text)
}

// String names the message and where it stands.
func (c *Cause) String() string {
	return fmt.Sprintf("message %d of %d of round %d (entry %d): %s", c.Position+1, c.Messages, c.Round, c.Index, c.text())
}

func (c *Cause) text() string {
	what := c.Kind
	if c.Canister != "" {
		what += " " + c.Canister
	}
	if c.Method != "" {
		what += "." + c.Method
	}
	if c.Session != 0 {
		what += fmt.Sprintf(", number %d of session %d", c.Sequence, c.Session)
	}
	if c.ArgBytes > 0 {
		what += fmt.Sprintf(", %d bytes of argument: %q", c.ArgBytes, c.Arg)
	}
	return what
}

// MessageText describes a message in a few words.
func MessageText(m *fsm.Message) string { return newCause(m).text() }
