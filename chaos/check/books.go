package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Books are what a canister that keeps accounts answers to an audit: amounts since it was installed.
type Books struct {
	// Canister is its name.
	Canister string
	// Balance is the sum of its accounts now, Opening at the beginning.
	Balance, Opening uint64
	// Debited left for the partner: Confirmed arrived there, Refunded came back, the rest is on its way. Received came from the partner.
	Debited, Confirmed, Refunded, Received uint64
	// Due is what a timer still has to send.
	Due uint64
}

// AuditMethod is the query by which a canister shows its Books.
const AuditMethod = "audit"

// ParseBooks reads an audit: the canister's name, then name=number with spaces between. Numbers with other names are left out.
func ParseBooks(text string) (Books, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Books{}, fmt.Errorf("an audit without a canister")
	}
	b := Books{Canister: words[0]}
	to := map[string]*uint64{"balance": &b.Balance, "opening": &b.Opening, "debited": &b.Debited, "confirmed": &b.Confirmed,
		"refunded": &b.Refunded, "received": &b.Received, "due": &b.Due}
	for _, word := range words[1:] {
		name, number, _ := strings.Cut(word, "=")
		n, err := strconv.ParseUint(number, 10, 63)
		if err != nil {
			return b, fmt.Errorf("audit of %s: %q is not name=number", b.Canister, word)
		}
		if p := to[name]; p != nil {
			*p = n
			delete(to, name)
		}
	}
	if len(to) > 0 {
		return b, fmt.Errorf("audit of %s: it has no %s", b.Canister, strings.Join(slices.Sorted(maps.Keys(to)), ", "))
	}
	return b, nil
}

// OnTheWay is what has left and has neither arrived nor come back, and what is still due.
func (b *Books) OnTheWay() uint64 { return b.Debited - b.Confirmed - b.Refunded + b.Due }

// wrong says what is wrong with the books of one canister by themselves; "" if nothing is.
func (b *Books) wrong() string {
	switch {
	case b.Balance+b.Debited != b.Opening+b.Refunded+b.Received:
		return fmt.Sprintf("%s has %d in its accounts; it began with %d, sent %d, got %d of that back and took in %d, which makes %d", b.Canister,
			b.Balance, b.Opening, b.Debited, b.Refunded, b.Received, int64(b.Opening+b.Refunded+b.Received)-int64(b.Debited))
	case b.Confirmed+b.Refunded > b.Debited:
		return fmt.Sprintf("%s sent %d; %d of it arrived and %d came back", b.Canister, b.Debited, b.Confirmed, b.Refunded)
	}
	return ""
}

// impossible says why what b has received and what its partner says at a moment not before, or not after, cannot both be true.
// "" means that they can.
func (b *Books) impossible(partner *Books, notBefore, notAfter bool) string {
	switch {
	case notBefore && b.Received > partner.Debited-partner.Refunded:
		return fmt.Sprintf("%s took in %d; its partner %s, no earlier, had sent %d and got %d of that back", b.Canister, b.Received, partner.Canister,
			partner.Debited, partner.Refunded)
	case notAfter && b.Received < partner.Confirmed:
		return fmt.Sprintf("%s took in %d; of what its partner %s sent, %d had arrived no later", b.Canister, b.Received, partner.Canister,
			partner.Confirmed)
	}
	return ""
}
