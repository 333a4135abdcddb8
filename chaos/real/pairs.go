package real

import (
	"math/rand/v2"
	"slices"

	"lockstep/chaos/plan"
)

// pairs are the links that a fault lies on.
func (s *strike) pairs() []pair {
	var pairs []pair
	in := s.numbers()
	all := len(s.members)
	s.net.each(func(p pair) {
		from, to := slices.Contains(in, p.from), slices.Contains(in, p.to)
		on := false
		switch s.fault.Kind {
		case plan.Partition:
			mode := s.fault.Variant()
			on = from && !to && mode != plan.In || to && !from && mode != plan.Out
		case plan.Ring:
			apart := (p.from - p.to + all) % all
			on = apart != 1 && apart != all-1
		case plan.Bridge:
			on = !from && !to && s.half(p.from) != s.half(p.to)
		case plan.TruncatedInstall, plan.SlowInstall:
			on = to
		case plan.Swizzle:
			on = from || to
		default:
			on = from && slices.Contains(s.resolve(s.fault.To, in), p.to)
		}
		if on {
			pairs = append(pairs, p)
		}
	})
	return pairs
}

// half is the side of a bridge that a replica is on.
func (s *strike) half(number int) bool {
	place := 0
	for n := range number - 1 {
		if !slices.Contains(s.numbers(), n+1) {
			place++
		}
	}
	return place%2 == 0
}

// condition is what the fault does to each link.
func (s *strike) condition() condition {
	f := s.fault
	switch f.Kind {
	case plan.Delay:
		return condition{Delay: f.Delay, Jitter: f.Jitter}
	case plan.SlowLink:
		return condition{Rate: f.Bytes}
	case plan.CorruptLink:
		return condition{Corrupt: f.Rate}
	case plan.TruncatedInstall:
		return condition{Burst: max(f.Bytes, 1)}
	case plan.SlowInstall:
		return condition{BurstRate: f.Bytes}
	case plan.Cut:
		return condition{Drop: f.Variant() == plan.Drop, Reset: f.Variant() == plan.Reset, Hold: f.Variant() == plan.HalfOpen}
	}
	return condition{Drop: true}
}

// swizzle stops links one by one and lets them go on in another order.
func (s *strike) swizzle() {
	pairs := s.pairs()
	random := rand.New(rand.NewPCG(s.plan.Seed, uint64(s.id)))
	shuffle := func() { random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] }) }
	shuffle()
	for i := range pairs {
		s.net.set(s.id, pairs[i:i+1], condition{Hold: true})
		wait(s.ctx, s.fault.Gap)
	}
	shuffle()
	for i := range pairs {
		s.hits += s.net.clear(s.id, pairs[i:i+1])
		wait(s.ctx, s.fault.Gap)
	}
	<-s.ctx.Done()
}
