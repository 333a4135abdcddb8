package history

import (
	"fmt"
	"strings"
	"time"

	"lockstep/pagetrie"
)

// String tells the event in words, with its time: "12.5s  node 2 crashed: fault 4".
func (e *Event) String() string {
	return fmt.Sprintf("%-9s %s", Clock(e.At), e.Words())
}

// Clock is a time as people read it in a list: seconds with three digits.
func Clock(t time.Duration) string { return fmt.Sprintf("%.3fs", t.Seconds()) }

// Words tells the event without its time.
func (e *Event) Words() string {
	if text := e.runWords(); text != "" {
		return text
	}
	if text := e.nodeWords(); text != "" {
		return e.who() + " " + text
	}
	return e.Kind.String()
}

func (e *Event) who() string {
	if e.Node == 0 {
		return "the run"
	}
	return fmt.Sprintf("node %d", e.Node)
}

// runWords are of the events that are not chiefly a node's.
func (e *Event) runWords() string {
	switch e.Kind {
	case FaultBegin:
		return fmt.Sprintf("fault %d begins: %s", e.Fault, faultWords(e.Text))
	case FaultEnd:
		return fmt.Sprintf("fault %d is over, it struck %s", e.Fault, times(e.Count))
	case Healed:
		return "everything is healed: the quiet ending begins"
	case Ended:
		return with("the run is over", e.Text)
	case Mark:
		return "rare path reached: " + e.Text + at(e)
	case Note:
		return e.Text + at(e)
	case Configured:
		return "the voters are " + e.Text
	case Gauge:
		return fmt.Sprintf("%s: %s is %d", e.who(), e.Text, e.Count)
	case Audited:
		return fmt.Sprintf("audit after round %d: %s", e.Round, e.Text)
	case Invoked:
		return fmt.Sprintf("client %d calls %s (%s %d%s)", e.Client, e.Text, e.Class, e.Op, e.session())
	case Returned:
		return fmt.Sprintf("call %d is %s%s", e.Op, e.Outcome, e.answer())
	}
	return ""
}

func (e *Event) session() string {
	if e.Session == 0 {
		return ""
	}
	return fmt.Sprintf(", session %d message %d", e.Session, e.Sequence)
}

func (e *Event) answer() string {
	if e.Outcome != OK {
		return with("", e.Text)
	}
	return with(fmt.Sprintf(", round %d", e.Round), e.Text)
}

// nodeWords are what a node did, behind its name.
func (e *Event) nodeWords() string {
	switch e.Kind {
	case Started:
		if e.Index == 0 {
			return with("started with nothing", e.Text)
		}
		return with(fmt.Sprintf("started from the checkpoint of round %d", e.Round), e.Text)
	case Stopped:
		return with("stopped", e.Text)
	case Crashed:
		return with("crashed", e.Text)
	case Panicked:
		return with("panicked", e.Text)
	case Diverged:
		return with(fmt.Sprintf("found that its root after round %d is not the leader's", e.Round), e.Text)
	case Stuck:
		return with("works without getting on", e.Text)
	case RoleChanged:
		return fmt.Sprintf("is %s in term %d", e.Role, e.Term)
	case Voted:
		return fmt.Sprintf("voted for node %d in term %d", e.Peer, e.Term)
	}
	return e.logWords()
}

// logWords are what a node did to its log, state and checkpoints.
func (e *Event) logWords() string {
	switch e.Kind {
	case Appended:
		return fmt.Sprintf("wrote entry %d of term %d (%s)", e.Index, e.Term, e.Digest)
	case Truncated:
		return fmt.Sprintf("cut entries %d to %d off the end of its log", e.Index, e.To)
	case Compacted:
		return fmt.Sprintf("cut entries %d to %d off the beginning of its log", e.Index, e.To)
	case Committed:
		return fmt.Sprintf("learnt that entry %d of term %d is committed (%s)", e.Index, e.Term, e.Digest)
	case Applied:
		return fmt.Sprintf("applied round %d (entry %d): root %s", e.Round, e.Index, ShortRoot(e.Root))
	case Executed:
		return fmt.Sprintf("ran message %d of round %d%s: %s", e.Slot, e.Round, e.session(), e.Text)
	case Published:
		return fmt.Sprintf("has a checkpoint of round %d (entry %d)", e.Round, e.Index)
	case CheckpointRefused:
		return with(fmt.Sprintf("refused the checkpoint at entry %d", e.Index), e.Text)
	case CheckpointUnread:
		return with(fmt.Sprintf("could not read the checkpoint at entry %d, which stays", e.Index), e.Text)
	case Damaged:
		if e.Index == 0 {
			return with("has damaged files", e.Text)
		}
		return with(fmt.Sprintf("has a damaged checkpoint at entry %d", e.Index), e.Text)
	case InstallSent:
		return fmt.Sprintf("sends node %d the checkpoint at entry %d", e.Peer, e.Index)
	case InstallBegin:
		return fmt.Sprintf("is sent the checkpoint at entry %d%s", e.Index, from(e.Peer))
	case Installed:
		return fmt.Sprintf("installed the checkpoint of round %d (entry %d)%s", e.Round, e.Index, from(e.Peer))
	case InstallFailed:
		return with(fmt.Sprintf("did not take the checkpoint at entry %d%s", e.Index, from(e.Peer)), e.Text)
	}
	return ""
}

// faultWords is a fault's line without its times, which the events have.
func faultWords(line string) string {
	words := strings.Fields(line)
	if len(words) > 2 && words[0] == "at" {
		words = words[2:]
	}
	if len(words) > 2 && words[0] == "for" {
		return strings.Join(words[2:], " ") + " for " + words[1]
	}
	return strings.Join(words, " ")
}

func from(peer uint8) string {
	if peer == 0 {
		return ""
	}
	return fmt.Sprintf(" by node %d", peer)
}

func at(e *Event) string {
	var parts []string
	if e.Node != 0 {
		parts = append(parts, e.who())
	}
	if e.Round != 0 {
		parts = append(parts, fmt.Sprintf("round %d", e.Round))
	}
	if e.Index != 0 {
		parts = append(parts, fmt.Sprintf("entry %d", e.Index))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func with(text, more string) string {
	switch {
	case more == "":
		return text
	case text == "":
		return ": " + more
	}
	return text + ": " + more
}

func times(n uint64) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// ShortRoot is the beginning of a root, enough to tell roots apart by eye.
func ShortRoot(r pagetrie.Hash) string { return r.String()[:12] }

// MarshalJSON is the event as in a history's line.
func (e Event) MarshalJSON() ([]byte, error) {
	line := appendEvent(nil, &e)
	return line[:len(line)-1], nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Event) UnmarshalJSON(text []byte) error { return decodeEvent(text, e) }
