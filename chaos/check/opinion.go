package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"lockstep/chaos/history"
)

const opinionDoc = `Porcupine, a search for an order that knows nothing of the witness check, agrees that the answered calls are linearizable, window
by window: the state is the newest round, a message takes it to a later one, a query leaves it at the one that it read. It is the
second opinion on linearizability and draws the picture. A window that takes it too many steps is judged in parts.`

// Windows of the second opinion.
const (
	// windowCalls is how many calls a window has, windowStep how far the next one is: they overlap.
	windowCalls = 200
	windowStep  = 150
	// maxWindows bounds the windows of one run: the last ones and some of the others.
	maxWindows = 40
	// windowSteps is how many steps a search may take: in a simulation no time goes by meanwhile. Few enough calls are always decided.
	windowSteps  = 200_000
	decidedCalls = 12
)

// secondOpinion is porcupine on windows.
type secondOpinion struct{ suite *Suite }

func startOpinion(s *Suite) checker {
	s.porcu = &secondOpinion{s}
	return s.porcu
}

func (c *secondOpinion) observe(*history.Event) *Violation { return nil }

func (c *secondOpinion) finish() Finding {
	f := Finding{Of: "calls searched for an order"}
	all := windows(Answered(c.suite.calls.Operations()))
	for i, w := range all {
		if !ordered(w) {
			from, to := time.Duration(w[0].Call), time.Duration(w[len(w)-1].Return)
			f.State, f.Violation = Broken, &Violation{At: to, Sentence: fmt.Sprintf(
				"no order fits the %d calls that began between %s and %s", len(w), history.Clock(from), history.Clock(to))}
			return f
		}
		f.Checked += uint64(min(len(w), windowStep))
		if i == len(all)-1 {
			f.Checked += uint64(len(w) - min(len(w), windowStep))
		}
	}
	if f.State = Held; f.Checked == 0 {
		f.State, f.Reason = Unseen, "no call was answered"
	}
	return f
}

// ordered reports whether calls have an order that fits the model. Many that lie beside each other can take longer than anybody
// waits: they are halved then.
func ordered(w []porcupine.Operation) bool {
	model, steps := Model(), 0
	step, most := model.Step, windowSteps
	if len(w) <= decidedCalls {
		most = math.MaxInt
	}
	model.Step = func(s, input, output any) (bool, any) {
		if steps++; steps > most { // then nothing fits, and the search ends
			return false, s
		}
		return step(s, input, output)
	}
	if porcupine.CheckOperations(model, w) {
		return true
	}
	return steps > most && ordered(w[:len(w)/2]) && ordered(w[len(w)/2:])
}

// call is what porcupine is shown of a call.
type call struct {
	class history.Class
	round uint64
	op    uint64
}

// state is the newest round, and whether it was read.
type state struct {
	round uint64
	read  bool
}

// Model is the specification that porcupine searches by. Inputs and outputs are made by Answered.
func Model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, input, _ any) (bool, any) {
			now, c := s.(state), input.(call)
			if c.class == history.Query {
				return c.round >= now.round, state{c.round, true}
			}
			// Messages of one round run one after the other, so a round may come again until it was read.
			return c.round > now.round || c.round == now.round && !now.read, state{c.round, false}
		},
		DescribeOperation: func(input, _ any) string {
			c := input.(call)
			if c.class == history.Query {
				return fmt.Sprintf("query %d reads round %d", c.op, c.round)
			}
			return fmt.Sprintf("message %d runs in round %d", c.op, c.round)
		},
		DescribeState: func(s any) string { return fmt.Sprintf("round %d", s.(state).round) },
	}
}

// Answered gives the calls that promise something, as porcupine wants them, in the order of their beginnings. Messages that were
// sent again are left out: an answer may be of an earlier call.
func Answered(all []history.Operation) []porcupine.Operation {
	sends := map[message]int{}
	for i := range all {
		if o := &all[i]; o.Session != 0 {
			sends[message{o.Session, o.Sequence}]++
		}
	}
	var ops []porcupine.Operation
	for i := range all {
		o := &all[i]
		if o.Outcome != history.OK || o.Class == history.StaleQuery || o.Round == 0 || sends[message{o.Session, o.Sequence}] > 1 && o.Session != 0 {
			continue
		}
		ops = append(ops, porcupine.Operation{ClientId: int(o.Client), Input: call{o.Class, o.Round, o.ID}, Output: nil,
			Call: int64(o.Invoke), Return: int64(o.Return)})
	}
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return ops
}

// windows cuts calls into overlapping windows. Any part of a linearizable history of this model is linearizable, so the cuts need
// no quiet moment. Of many windows the last one is kept and others evenly.
func windows(ops []porcupine.Operation) [][]porcupine.Operation {
	var all [][]porcupine.Operation
	for from := 0; from < len(ops); from += windowStep {
		all = append(all, ops[from:min(from+windowCalls, len(ops))])
		if from+windowCalls >= len(ops) {
			break
		}
	}
	if len(all) <= maxWindows {
		return all
	}
	var some [][]porcupine.Operation
	for i := range maxWindows {
		some = append(some, all[i*(len(all)-1)/(maxWindows-1)])
	}
	return some
}
