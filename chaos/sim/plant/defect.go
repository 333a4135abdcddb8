package plant

import (
	"strings"

	"lockstep/chaos/check"
	"lockstep/chaos/sim"
)

// Defect is something that is wrong with hashicorp/raft 1.7.3 by itself.
type Defect string

// The defects that runs of bare raft are attributed to. Known are those that others have described.
const (
	InstallLivelock  Defect = "install-livelock"     // a checkpoint is sent again and again to a replica whose log contradicts it (issue 697)
	StoreErrorWedge  Defect = "store-error-wedge"    // a replica whose log failed once after its end was cut off takes nothing more (issue 612)
	StaleInstall     Defect = "stale-install"        // a checkpoint that is delivered late takes the state machine back
	BadCheckpoint    Defect = "bad-checkpoint-panic" // a start panics over a damaged newest checkpoint behind which the log is cut (issue 85)
	PipelineWedge    Defect = "pipeline-wedge"       // a pipeline whose listener has gone keeps its sender waiting
	InstallWithoutIt Defect = "install-without-end"  // a checkpoint is sent again and again to a replica whose log begins behind it
	ReadPanic        Defect = "read-error-panic"     // a committed entry that the disk does not give, or gives damaged, ends the process
)

// Known are the four that runs from a cold start are to find.
func Known() []Defect { return []Defect{InstallLivelock, StoreErrorWedge, StaleInstall, BadCheckpoint} }

// Beyond are what bare raft does not promise to survive, and node does.
const (
	damagedLog Defect = "damaged log: raft has no checksums"
	lostDisk   Defect = "lost disk: a replica came back with nothing, and voted"
)

// Causes are the defects behind the violation of a run of bare raft; none if it has none, or none is known.
func Causes(o sim.Outcome) []Defect {
	v := o.Result.Verdict
	if v.Judgement != check.Violated {
		return nil
	}
	var causes []Defect
	for _, name := range o.Result.Causes {
		causes = append(causes, Defect(name))
	}
	if causes != nil || v.Leading != "no-panic" {
		return causes
	}
	// The process has died, and with it who would have known: what it had seen stands in its output.
	for line := range strings.Lines(o.Output) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), shownPrefix); ok {
			return []Defect{Defect(name)}
		}
	}
	if strings.Contains(o.Output, ").processLogs(") {
		return []Defect{ReadPanic}
	}
	return nil
}

// shownPrefix begins a line by which a run says what it has seen, for the case that it ends at once.
const shownPrefix = "bare raft: "
