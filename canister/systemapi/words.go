package systemapi

import "strings"

// Bounds on what is kept of an execution's standard error, in bytes: of its beginning, where a panic says what it is, and of its end.
const (
	firstWords = 1 << 10
	lastWords  = 512
)

// words is what an execution has written to standard error, bounded. It is a function of the execution as replies are, so replicas
// agree on it.
type words struct {
	first, last []byte
	cut         bool // something is missing between them
}

func (w *words) write(b []byte) {
	n := min(len(b), firstWords-len(w.first))
	w.first = append(w.first, b[:n]...)
	w.last = append(w.last, b[n:]...)
	if most := len(w.last) - lastWords; most > 0 {
		w.last, w.cut = append(w.last[:0], w.last[most:]...), true
	}
}

func (w *words) String() string {
	text := string(w.first)
	if w.cut {
		text += " … "
	}
	return strings.TrimSpace(text + string(w.last))
}

// LastWords is what follows the reason of a trap: what the canister has written to standard error in this execution, as the panics of
// Go and Rust and the assertions of C do, or "".
func (h *Host) LastWords() string {
	text := CleanText(h.words.String(), 2*(firstWords+lastWords))
	if text == "" {
		return ""
	}
	return "; standard error: " + text
}
