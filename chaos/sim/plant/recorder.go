package plant

import (
	"lockstep/chaos/history"
	"lockstep/chaos/sim"
	"lockstep/pagetrie"
)

// falsified adds a mutant of the recorder to a plant's layers.
func falsified(under func() *sim.Seams, event func(*history.Event) bool) func() *sim.Seams {
	return func() *sim.Seams {
		s := &sim.Seams{}
		if under != nil {
			s = under()
		}
		s.Event = event
		return s
	}
}

// seamsOf gives another plant's layers.
func seamsOf(plants []Plant, name string) func() *sim.Seams {
	for _, p := range plants {
		if p.Name == name {
			return p.seams
		}
	}
	panic("plant: no plant is called " + name)
}

const leaderCrashes = "at 2s for 300ms kill nodes=leader\nat 6s for 300ms kill nodes=leader\nat 10s for 300ms kill nodes=leader\nat 14s for 300ms kill nodes=leader\n"

var recorderPlants = []Plant{
	{Name: "recorder-refuses-unknown", Doc: "the recorder books an unknown outcome as a refusal.", Expect: []string{"exactly-once"},
		shape: busy, faults: leaderCrashes, seams: falsified(nil, func(e *history.Event) bool {
			if e.Kind == history.Returned && e.Outcome == history.Unknown {
				e.Outcome = history.Refused
			}
			return true
		})},
	{Name: "recorder-off-by-one", Doc: "the recorder books one replica's rounds one too late.", Expect: []string{agreement, "apply-order"},
		seams: falsified(nil, func(e *history.Event) bool {
			if e.Kind == history.Applied && e.Node == 3 {
				e.Round++
			}
			return true
		})},
	{Name: "recorder-loses-applied", Doc: "the recorder loses some of what replicas apply.", Expect: []string{"apply-order"},
		seams: falsified(nil, func(e *history.Event) bool { return e.Kind != history.Applied || e.Index%40 != 0 })},
	{Name: "blind-roots", Doc: "all roots look alike, with wall-clock planted.", Expect: []string{agreement}, Blind: true,
		seams: falsified(seamsOf(machinePlants, "wall-clock"), func(e *history.Event) bool {
			if e.Kind == history.Diverged {
				return false
			}
			e.Root = pagetrie.Hash{}
			return true
		})},
	{Name: "blind-digests", Doc: "the digest of everything is that of nothing, with entries-altered planted.", Expect: []string{"log-matching"}, Blind: true,
		seams: falsified(seamsOf(networkPlants, "entries-altered"), func(e *history.Event) bool {
			if e.Digest != 0 {
				e.Digest = history.DigestOf(nil)
			}
			return true
		})},
	{Name: "blind-order", Doc: "the checker of the order is left out, with dropped-entry planted.", Expect: []string{"apply-order"}, Blind: true,
		seams: func() *sim.Seams {
			s := seamsOf(machinePlants, "dropped-entry")()
			s.Without = []string{"apply-order"}
			return s
		}},
}
