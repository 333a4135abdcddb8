package check

import "slices"

// entry is a checker in the list of all.
type entry struct {
	name string
	// doc says what must hold, by what events it is judged, and what the checker cannot see.
	doc string
	// required checkers keep a run undecided that has nothing for them.
	required bool
	// losable and stallable are checkers whose violations a plan may admit.
	losable, stallable bool
	start              func(*Suite) checker
}

// registry lists the checkers in the order in which they see an event: the one that is named when several find the same event.
var registry = []entry{
	{"root-agreement", rootsDoc, true, true, false, startRoots},
	{"apply-order", orderDoc, true, true, false, startOrder},
	{"log-matching", matchingDoc, false, true, false, startMatching},
	{"one-leader", leadersDoc, false, true, false, startLeaders},
	{"committed-kept", committedDoc, false, true, false, startCommitted},
	{"exactly-once", onceDoc, false, true, false, startOnce},
	{"linearizability", linearDoc, true, true, false, startLinear},
	{"second-opinion", opinionDoc, false, true, false, startOpinion},
	{"conservation", conservationDoc, false, true, false, startConservation},
	{"checkpoint-truth", checkpointsDoc, false, true, false, startCheckpoints},
	{"corruption-refused", corruptionDoc, false, true, false, startCorruption},
	{"replay-equivalence", replayDoc, false, true, false, startReplayed},
	{"no-panic", panicDoc, false, false, false, startPanic},
	{"liveness", livenessDoc, true, false, true, startLiveness},
	{"bounded-resources", boundsDoc, false, false, false, startBounds},
	{"faults-fired", firedDoc, false, false, false, startFired},
}

// Names lists the checkers.
func Names() []string {
	var names []string
	for _, e := range registry {
		names = append(names, e.name)
	}
	return names
}

// Doc says what a checker holds a run to, in a few sentences; "" for one that there is not.
func Doc(name string) string {
	i := slices.IndexFunc(registry, func(e entry) bool { return e.name == name })
	if i < 0 {
		return ""
	}
	return registry[i].doc
}

func contains(names []string, name string) bool { return slices.Contains(names, name) }
