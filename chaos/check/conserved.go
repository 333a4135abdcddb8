package check

import (
	"maps"
	"slices"
	"sort"

	"lockstep/chaos/history"
)

const conservationDoc = `Canisters that send each other money by calls neither make nor lose any: the accounts of each are what it began with, less what it
sent, plus what came back and what it took in; what one has taken in is between what its partner knows to have arrived and what the
partner has sent, whenever the two were asked; two audits of one round are the same; and at the end, when every call has had the time
to be answered and every timer to fire, nothing is on its way and the sum of all accounts is that of the beginning. So each call is carried out once or
not at all, whatever crashed between the rounds that it took, and a message that failed left nothing behind. It finds what all
replicas do wrong alike, which no comparison of roots can. Judged by audited; runs whose workload keeps no books have none.`

// conservation is the conservation of money.
type conservation struct {
	suite *Suite
	// books are the audits of each canister in the order of their rounds.
	books   map[string][]audit
	final   map[string]audit
	checked uint64
}

type audit struct {
	round uint64
	Books
	by history.Event
}

func startConservation(s *Suite) checker {
	return &conservation{suite: s, books: map[string][]audit{}, final: map[string]audit{}}
}

func (c *conservation) observe(e *history.Event) *Violation {
	if e.Kind != history.Audited {
		return nil
	}
	c.checked++
	b, err := ParseBooks(e.Text)
	if err != nil {
		return broken(e, "%v", err)
	}
	if wrong := b.wrong(); wrong != "" {
		return broken(e, "after round %d %s", e.Round, wrong)
	}
	a := audit{e.Round, b, *e}
	if v := c.enter(a); v != nil {
		return v
	}
	if e.Count != 0 {
		c.final[b.Canister] = a
	}
	if partner := c.partner(b.Canister); partner != "" {
		return c.compare(a, c.books[partner])
	}
	return nil
}

// enter puts an audit among those of its canister.
func (c *conservation) enter(a audit) *Violation {
	all := c.books[a.Canister]
	at := sort.Search(len(all), func(i int) bool { return all[i].round >= a.round })
	if at < len(all) && all[at].round == a.round {
		if all[at].Books != a.Books {
			return broken(&a.by, "two audits of %s after round %d are not the same", a.Canister, a.round).against(all[at].by)
		}
		return nil
	}
	c.books[a.Canister] = slices.Insert(all, at, a)
	return nil
}

// partner is the other one of two canisters; "" if there are not two.
func (c *conservation) partner(of string) string {
	if len(c.books) != 2 {
		return ""
	}
	for name := range c.books {
		if name != of {
			return name
		}
	}
	return ""
}

// compare compares an audit with those of the partner next to it in time: amounts only grow, so these say most.
func (c *conservation) compare(a audit, partner []audit) *Violation {
	next := sort.Search(len(partner), func(i int) bool { return partner[i].round >= a.round })
	for _, i := range []int{next - 1, next} {
		if i < 0 || i >= len(partner) {
			continue
		}
		p := partner[i]
		why := a.impossible(&p.Books, p.round >= a.round, p.round <= a.round)
		if why == "" {
			why = p.impossible(&a.Books, a.round >= p.round, a.round <= p.round)
		}
		if why != "" {
			return broken(&a.by, "after rounds %d and %d: %s", a.round, p.round, why).against(p.by)
		}
	}
	return nil
}

func (c *conservation) finish() Finding {
	f := seen(c.checked, "audits of canisters that keep books")
	var balance, opening, onTheWay uint64
	var last audit
	for _, name := range slices.Sorted(maps.Keys(c.final)) {
		a := c.final[name]
		balance, opening, onTheWay = balance+a.Balance, opening+a.Opening, onTheWay+a.OnTheWay()
		last = a
	}
	switch {
	case len(c.final) < len(c.books): // the run ended before
	case onTheWay != 0:
		c.suite.absent(&f, broken(&last.by, "%d are still on their way at the end, long after the last message", onTheWay))
	case balance != opening:
		c.suite.absent(&f, broken(&last.by, "all accounts together have %d at the end, %d at the beginning", balance, opening))
	}
	return f
}
