package check

import (
	"fmt"
	"time"

	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

// Judgement is what a run has shown.
type Judgement uint8

// The judgements. Their numbers are the exit codes of a command that judges.
const (
	// Agreed: everything that must be checked was checked and held.
	Agreed Judgement = 0
	// Violated: something did not hold.
	Violated Judgement = 1
	// Undecided: nothing failed, but not everything that must be checked could be.
	Undecided Judgement = 2
	// HarnessError: the run itself failed; nothing is known about the cluster.
	HarnessError Judgement = 3
)

var judgementWords = [...]string{"agreed", "violation", "undecided", "harness-error"}

// ExitCode is the exit code of a command that ends with this judgement.
func (j Judgement) ExitCode() int { return int(j) }

// String is the judgement's word.
func (j Judgement) String() string {
	if int(j) < len(judgementWords) {
		return judgementWords[j]
	}
	return fmt.Sprintf("judgement(%d)", uint8(j))
}

// MarshalText makes the judgement a word in JSON.
func (j Judgement) MarshalText() ([]byte, error) { return []byte(j.String()), nil }

// UnmarshalText reads the word.
func (j *Judgement) UnmarshalText(text []byte) error {
	for i, w := range judgementWords {
		if w == string(text) {
			*j = Judgement(i)
			return nil
		}
	}
	return fmt.Errorf("unknown judgement %.40q", text)
}

// Verdict is what a run ends with.
type Verdict struct {
	Judgement Judgement `json:"judgement"`
	// Sentence says it in words.
	Sentence string `json:"sentence"`
	// Leading is the checker whose violation was found first; "" without one.
	Leading string `json:"leading,omitempty"`
	// Findings are the checkers' own, in the order of Names.
	Findings []Finding `json:"findings"`
	// Marks counts the rare paths that were reached.
	Marks map[history.MarkName]uint64 `json:"marks"`
	// Faults tell how often each fault of the plan had an effect, in its order.
	Faults []FaultCount `json:"faults"`
	Totals Totals       `json:"totals"`
}

// FaultCount is one fault of the plan.
type FaultCount struct {
	Fault uint32 `json:"fault"`
	Text  string `json:"text"`
	// Begun and Over are whether it began and ended: a run that is stopped leaves faults that are not over.
	Begun bool `json:"begun"`
	Over  bool `json:"over"`
	// Struck is how many messages or operations it has hit.
	Struck uint64 `json:"struck"`
}

// Totals are sums over a run.
type Totals struct {
	Events   uint64        `json:"events"`
	Rounds   uint64        `json:"rounds"`
	OK       uint64        `json:"ok"`
	Refused  uint64        `json:"refused"`
	Unknown  uint64        `json:"unknown"`
	Duration time.Duration `json:"duration_ns"`
}

// State is how a checker's finding ends.
type State string

// The states of findings.
const (
	// Held: what was seen is as it must be.
	Held State = "held"
	// Broken: a violation was found.
	Broken State = "violated"
	// Open: it cannot be said. If the checker is a required one, the run is undecided.
	Open State = "undecided"
	// Unseen: the run has not recorded what this checker looks at.
	Unseen State = "unseen"
	// Excused: a violation was found that the plan admits.
	Excused State = "excused"
)

// Finding is one checker's result.
type Finding struct {
	Checker string `json:"checker"`
	State   State  `json:"state"`
	// Checked counts what was looked at, and Of says what that is: "rounds compared".
	Checked uint64 `json:"checked"`
	Of      string `json:"of"`
	// Outside says that it was not found in the history, which cannot give it again: by repeating the log, or by the end of the process that
	// ran the cluster.
	Outside bool `json:"outside,omitempty"`
	// Reason says why the state is not Held.
	Reason    string     `json:"reason,omitempty"`
	Violation *Violation `json:"violation,omitempty"`
}

// Violation is something that must not be, with what is needed to explain it.
type Violation struct {
	Checker string `json:"checker"`
	// Sentence says what is wrong, with all numbers.
	Sentence string        `json:"sentence"`
	At       time.Duration `json:"at_ns"`
	Nodes    []int         `json:"nodes,omitempty"`
	Term     uint64        `json:"term,omitempty"`
	Index    uint64        `json:"index,omitempty"`
	Round    uint64        `json:"round,omitempty"`
	// Roots are what different witnesses say about Round.
	Roots []Witness `json:"roots,omitempty"`
	// Calls are the clients' calls that it is about.
	Calls []uint64 `json:"calls,omitempty"`
	// Evidence are the events that contradict each other, Before the faults and changes that came before.
	Evidence []history.Event `json:"evidence,omitempty"`
	Before   []history.Event `json:"before,omitempty"`
	// Where says what a search for the cause has found, in lines: round, message, canister, page, bytes on both sides. Searched is
	// the real time that it took, 0 if there was none. Who runs the cluster fills both.
	Where    []string      `json:"where,omitempty"`
	Searched time.Duration `json:"searched_ns,omitempty"`
}

// Witness is somebody's word on a root.
type Witness struct {
	Who  string        `json:"who"`
	Root pagetrie.Hash `json:"-"`
	// Text is the root's digits.
	Text string `json:"root"`
}

func witness(who string, root pagetrie.Hash) Witness {
	return Witness{Who: who, Root: root, Text: root.String()}
}

// String is the violation in one line.
func (v *Violation) String() string {
	return fmt.Sprintf("%s at %s: %s", v.Checker, history.Clock(v.At), v.Sentence)
}

// Failed is the verdict of a run whose harness failed.
func Failed(err error) Verdict {
	return Verdict{Judgement: HarnessError, Sentence: fmt.Sprintf("HARNESS ERROR: %v. Nothing is known about the cluster.", err)}
}

// Unfinished is the verdict of a run that was ended before there was anything to judge; why says when.
func Unfinished(why string) Verdict {
	return Verdict{Judgement: Undecided, Sentence: fmt.Sprintf("UNDECIDED: %s. Nothing is known about the cluster.", why)}
}

// broken makes a violation that an event has brought to light.
func broken(e *history.Event, format string, args ...any) *Violation {
	v := &Violation{Sentence: fmt.Sprintf(format, args...), At: e.At, Term: e.Term, Index: e.Index, Round: e.Round,
		Evidence: []history.Event{*e}}
	if e.Node != 0 {
		v.Nodes = []int{int(e.Node)}
	}
	if e.Op != 0 {
		v.Calls = []uint64{e.Op}
	}
	return v
}

// against adds an earlier event that the new one contradicts.
func (v *Violation) against(e history.Event) *Violation {
	v.Evidence = append([]history.Event{e}, v.Evidence...)
	if e.Node != 0 && (len(v.Nodes) == 0 || v.Nodes[0] != int(e.Node)) {
		v.Nodes = append([]int{int(e.Node)}, v.Nodes...)
	}
	if e.Op != 0 && (len(v.Calls) == 0 || v.Calls[0] != e.Op) {
		v.Calls = append([]uint64{e.Op}, v.Calls...)
	}
	return v
}
