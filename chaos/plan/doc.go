// Package plan is the text that a chaos run is made from: which replicas with which options, which messages, which faults when.
//
//	lockstep-plan 1
//	seed 42
//	drawn wild=0.31 kinds=partition,crash
//	time run=40s quiet=20s window=3s
//	replica 1 tracker=adaptive checkpoint=64
//	replica 2 tracker=cow opt=none checkpoint=48
//	replica 3 tracker=compare workers=1
//	workload name=demo seed=42 clients=6 rate=40 queries=0.2
//	at 3.25s for 4s partition nodes=leader mode=out
//	at 12s for 1.5s crash nodes=2 power=torn
//
// A plan is drawn from a seed (Generate), written by a person, or cut down from another one that failed (Shrink); the runner
// does not care which. Its text is complete: nothing that changes a run is drawn later. What a runner still has to choose by
// chance (which messages a lossy link loses) it chooses from the plan's seed.
//
//	seed ──Generate──► Plan ◄──Parse / String──► text in testdata, in reports, in bug reports
//	                    │
//	                    ├── Steps    what begins and ends when
//	                    ├── Budget   what a correct cluster must survive of it
//	                    └── Shrink   the least plan that still fails
//
// Invariants:
//
//   - Parse(p.String()) equals p, and the text of a parsed plan is the same for all spellings of it.
//   - Every fault ends by Time.Run; after that comes Time.Quiet with none, which is no shorter than LeastQuiet.
//   - A plan whose faults go beyond what a cluster of its size must survive says so in its line "allow", with the words that
//     Budget finds; a run of it is judged by that.
//   - Most drawn plans of simulated runs begin with a recipe (rare.go): an episode of its own, whatever kinds are drawn, that leads to a rare path. So a
//     batch of a hundred plans misses none.
//   - A kind of fault is described in one place, specs; parser, printer, generator, shrinker and help follow it.
//
// Sources: swarm testing (Groce et al., ISSTA 2012): leave kinds of faults out at random instead of using all of them mildly;
// delta debugging (Zeller & Hildebrandt, TSE 2002) for Shrink; the idea of a budget that knows which replicas can repair what is
// TigerBeetle's.
package plan
