package replay

import (
	"bytes"
	"errors"
	"fmt"

	"lockstep/fsm"
)

// messagesTold bounds the messages of a round that are told.
const messagesTold = 4

// RoundWords tells the messages of an encoded round, a line each.
func RoundWords(data []byte) []string {
	round, err := fsm.DecodeRound(data)
	if err != nil {
		return []string{err.Error()}
	}
	var lines []string
	for i := range round.Messages {
		if i >= messagesTold {
			lines = append(lines, fmt.Sprintf("%d more messages", len(round.Messages)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("message %d of %d: %s", i+1, len(round.Messages), MessageText(&round.Messages[i])))
	}
	return lines
}

// CompareRounds names the first message that is another one in two encoded rounds, with both arguments.
func CompareRounds(a, b []byte) []string {
	ra, err := fsm.DecodeRound(a)
	rb, err2 := fsm.DecodeRound(b)
	if err := errors.Join(err, err2); err != nil {
		return []string{err.Error()}
	}
	for i := range min(len(ra.Messages), len(rb.Messages)) {
		x, y := &ra.Messages[i], &rb.Messages[i]
		if !bytes.Equal(x.Arg, y.Arg) || x.Method != y.Method || x.Canister != y.Canister {
			lines := []string{fmt.Sprintf("message %d of %d in it: %s.%s, number %d of session %d", i+1, len(ra.Messages), x.Canister, x.Method, x.Sequence, x.Session)}
			if x.Method != y.Method || x.Canister != y.Canister {
				lines = append(lines, fmt.Sprintf("  against  %s.%s", y.Canister, y.Method))
			}
			return append(lines, "  argument "+excerpt(x.Arg, y.Arg), "  against  "+excerpt(y.Arg, x.Arg))
		}
	}
	if len(ra.Messages) != len(rb.Messages) {
		return []string{fmt.Sprintf("%d messages against %d", len(ra.Messages), len(rb.Messages))}
	}
	return []string{fmt.Sprintf("the messages are the same; time %d against %d, attested round %d against %d", ra.Time, rb.Time, ra.Attested.Round, rb.Attested.Round)}
}

// excerpt shows a text around its first difference from another one.
func excerpt(text, other []byte) string {
	at := 0
	for at < min(len(text), len(other)) && text[at] == other[at] {
		at++
	}
	from := max(0, at-24)
	return fmt.Sprintf("%q from byte %d on, it differs at byte %d", text[from:min(len(text), at+8)], from, at)
}
