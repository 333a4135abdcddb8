package systemapi

import (
	"strings"
	"testing"
)

func TestLastWords(t *testing.T) {
	a, b, c := strings.Repeat("a", firstWords), strings.Repeat("b", lastWords), strings.Repeat("c", 10)
	for _, x := range []struct {
		pieces []string
		want   string
	}{
		{nil, ""},
		{[]string{"\n ", "\n"}, ""},
		{[]string{"panic: ", "so", "\n"}, "; standard error: panic: so"},
		{[]string{a, b}, "; standard error: " + a + b},
		{[]string{a + b}, "; standard error: " + a + b},
		{[]string{a, b, c}, "; standard error: " + a + " … " + b[10:] + c},
		{[]string{a, strings.Repeat(b, 5), c}, "; standard error: " + a + " … " + b[10:] + c},
		{[]string{a[1:], "ä", "\xff"}, "; standard error: " + a[1:] + "ä\uFFFD"},
	} {
		h := &Host{}
		for _, p := range x.pieces {
			h.words.write([]byte(p))
		}
		if got := h.LastWords(); got != x.want {
			t.Errorf("%d pieces: got %q, want %q", len(x.pieces), got, x.want)
		}
	}
}
