package chaos

import (
	"fmt"
	"math/bits"
	"strings"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// MaxReplicas bounds the replicas of one cluster: a round's witnesses are kept as bits of one word.
const MaxReplicas = 64

// AgreementConfig is what an Agreement starts from.
type AgreementConfig struct {
	// Replicas names the replicas, 1 to MaxReplicas; they are told to Report and Skip by their place in this list.
	Replicas []string
	// From is the newest round that existed before the run. Earlier rounds are compared where two replicas still
	// report them, and a difference there counts, but they are not among the rounds that the run must account for.
	From fsm.RoundNumber
	// Window is how many of the newest rounds stay comparable, 48 bytes each; 0 means 1<<20. A report of an older
	// round is counted as late and not compared.
	Window int
}

// Agreement compares the roots that replicas report, round by round. It knows no network, clock or goroutine: the
// same reports give the same answer in any order that does not outlast the window. It must be used by one goroutine at
// a time.
//
// What it never does is take silence for agreement: a round counts as compared by k replicas only after k of them have
// reported the same root for it.
type Agreement struct {
	replicas []string
	from     fsm.RoundNumber
	window   int
	// rounds[i] is round base+i; the last one is the newest round that anybody reported.
	base   fsm.RoundNumber
	rounds []roundRecord
	// witnessed[k] counts the rounds after from that exactly k replicas reported.
	witnessed []uint64
	counts    []ReplicaCounts
	found     *Disagreement
}

// roundRecord is what is known about one round. root means nothing while seen is 0.
type roundRecord struct {
	root          pagetrie.Hash
	seen, skipped uint64
}

// ReplicaCounts says how one replica's reports were used. Rounds up to AgreementConfig.From are in none of the counts
// but Repeated and Late.
type ReplicaCounts struct {
	// Reported counts the rounds whose root this replica has reported.
	Reported uint64 `json:"reported"`
	// Compared counts those of them that at least one other replica has reported as well.
	Compared uint64 `json:"compared"`
	// Skipped counts the rounds that this replica never reported because it went on from a checkpoint behind them.
	Skipped uint64 `json:"skipped"`
	// Repeated counts the reports of a round that this replica had reported before: rounds replayed after a restart.
	Repeated uint64 `json:"repeated"`
	// Late counts the reports of rounds that had left the window: they were compared with nothing.
	Late uint64 `json:"late"`
}

// Root is a state's root as it is printed: 64 hexadecimal digits, in JSON too.
type Root pagetrie.Hash

// String gives the digits.
func (r Root) String() string { return pagetrie.Hash(r).String() }

// MarshalText gives the digits.
func (r Root) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Short is the first digits; "-" if there is no root.
func (r Root) Short(digits int) string {
	if r == (Root{}) {
		return "-"
	}
	return r.String()[:digits]
}

// Witness is one replica's word on a round.
type Witness struct {
	Replica string `json:"replica"`
	Root    Root   `json:"root"`
}

// Disagreement is a round after which two reports differ.
type Disagreement struct {
	Round fsm.RoundNumber `json:"round"`
	// Agreed are the replicas that had reported the first root, in the order of the cluster.
	Agreed []Witness `json:"agreed"`
	// Differs is the report that did not fit. It may come from a replica that is in Agreed as well: then the round
	// gave another root when it was replayed after a restart.
	Differs Witness `json:"differs"`
}

// String says in one sentence who disagrees about what.
func (d *Disagreement) String() string {
	var names []string
	for _, w := range d.Agreed {
		names = append(names, w.Replica)
	}
	return fmt.Sprintf("round %d: %s had root %s, %s has root %s",
		d.Round, strings.Join(names, ", "), d.Agreed[0].Root, d.Differs.Replica, d.Differs.Root)
}

// NewAgreement starts with no reports.
//
// Preconditions: between 1 and MaxReplicas replicas.
func NewAgreement(c AgreementConfig) *Agreement {
	if len(c.Replicas) < 1 || len(c.Replicas) > MaxReplicas {
		panic(fmt.Sprintf("chaos: agreement of %d replicas, 1 to %d are possible", len(c.Replicas), MaxReplicas))
	}
	if c.Window <= 0 {
		c.Window = 1 << 20
	}
	a := &Agreement{
		replicas: c.Replicas, from: c.From, window: c.Window, base: 1,
		witnessed: make([]uint64, len(c.Replicas)+1),
		counts:    make([]ReplicaCounts, len(c.Replicas)),
	}
	if history := fsm.RoundNumber(c.Window / 2); c.From > history {
		a.base = c.From - history + 1
	}
	return a
}

// Report takes a replica's word that the state after a round has a root. It returns the disagreement that this report
// brings to light, or nil. After the first disagreement the Agreement stays as it is and returns it again.
//
// Preconditions: the round is at least 1.
func (a *Agreement) Report(replica int, att fsm.Attestation) *Disagreement {
	if a.found != nil {
		return a.found
	}
	if att.Round < 1 {
		panic("chaos: a root was reported for round 0")
	}
	if att.Round < a.base {
		a.counts[replica].Late++
		return nil
	}
	r := a.record(att.Round)
	bit := uint64(1) << replica
	switch {
	case r.seen == 0:
		r.root = att.Root
	case r.root != att.Root:
		a.found = a.disagreement(r, replica, att)
		return a.found
	case r.seen&bit != 0:
		a.counts[replica].Repeated++
		return nil
	}
	if att.Round > a.from {
		a.count(r, replica)
	}
	r.seen |= bit
	r.skipped &^= bit
	return nil
}

// count books the first report of a round by a replica, before the replica is among the round's witnesses.
func (a *Agreement) count(r *roundRecord, replica int) {
	k := bits.OnesCount64(r.seen)
	a.witnessed[k]--
	a.witnessed[k+1]++
	a.counts[replica].Reported++
	if r.skipped&(1<<replica) != 0 {
		a.counts[replica].Skipped--
	}
	if k == 0 {
		return
	}
	a.counts[replica].Compared++
	if k == 1 {
		a.counts[bits.TrailingZeros64(r.seen)].Compared++
	}
}

// Skip notes that a replica went on from a checkpoint and will not report the rounds first to last. Rounds that it has
// reported stay reported.
func (a *Agreement) Skip(replica int, first, last fsm.RoundNumber) {
	if a.found != nil {
		return
	}
	if last < a.base {
		return
	}
	a.record(last)
	bit := uint64(1) << replica
	for round := max(first, a.base); round <= last; round++ {
		r := a.record(round)
		if (r.seen|r.skipped)&bit != 0 {
			continue
		}
		r.skipped |= bit
		if round > a.from {
			a.counts[replica].Skipped++
		}
	}
}

// record gives the round's record, making room up to it. The pointer holds until the next call. A round far ahead of
// all others closes those before it, so that a replica that talks nonsense costs no memory.
func (a *Agreement) record(round fsm.RoundNumber) *roundRecord {
	if ahead := fsm.RoundNumber(a.window); round > a.Newest()+ahead {
		a.witnessed[0] += uint64(round - 1 - max(a.Newest(), a.from))
		a.rounds, a.base = a.rounds[:0], round
	}
	for a.Newest() < round {
		if len(a.rounds) >= a.window {
			a.forget(len(a.rounds) / 2)
		}
		a.rounds = append(a.rounds, roundRecord{})
		if a.Newest() > a.from {
			a.witnessed[0]++
		}
	}
	return &a.rounds[round-a.base]
}

// forget closes the n oldest rounds: their counts stay as they are.
func (a *Agreement) forget(n int) {
	a.rounds = append(a.rounds[:0], a.rounds[n:]...)
	a.base += fsm.RoundNumber(n)
}

// disagreement describes a report that differs from what the round's witnesses said.
func (a *Agreement) disagreement(r *roundRecord, replica int, att fsm.Attestation) *Disagreement {
	d := &Disagreement{Round: att.Round, Differs: Witness{Replica: a.replicas[replica], Root: Root(att.Root)}}
	for i, name := range a.replicas {
		if r.seen&(1<<i) != 0 {
			d.Agreed = append(d.Agreed, Witness{Replica: name, Root: Root(r.root)})
		}
	}
	return d
}

// Newest is the newest round that was reported or skipped. Before the first it is a round that is not after
// AgreementConfig.From.
func (a *Agreement) Newest() fsm.RoundNumber { return a.base + fsm.RoundNumber(len(a.rounds)) - 1 }

// Disagreement returns the first disagreement, or nil.
func (a *Agreement) Disagreement() *Disagreement { return a.found }

// AgreementCounts is a summary of what was compared so far.
type AgreementCounts struct {
	// Rounds is how many rounds came after AgreementConfig.From, as far as anybody has reported.
	Rounds uint64 `json:"rounds"`
	// Witnessed[k] is how many of them exactly k replicas reported; only k >= 2 was compared.
	Witnessed []uint64 `json:"witnessed"`
	// Replicas are in the order of the cluster.
	Replicas []ReplicaCounts `json:"replicas"`
}

// Compared is the number of rounds that at least two replicas reported, with equal roots.
func (c AgreementCounts) Compared() uint64 {
	var n uint64
	for k := 2; k < len(c.Witnessed); k++ {
		n += c.Witnessed[k]
	}
	return n
}

// Unproven is the number of rounds that fewer than two replicas reported.
func (c AgreementCounts) Unproven() uint64 { return c.Rounds - c.Compared() }

// Missing is the number of rounds that a replica neither reported nor skipped.
func (c AgreementCounts) Missing(replica int) uint64 {
	return c.Rounds - c.Replicas[replica].Reported - c.Replicas[replica].Skipped
}

// Counts summarises the reports so far. The result is the caller's.
func (a *Agreement) Counts() AgreementCounts {
	c := AgreementCounts{
		Witnessed: append([]uint64(nil), a.witnessed...),
		Replicas:  append([]ReplicaCounts(nil), a.counts...),
	}
	for _, n := range a.witnessed {
		c.Rounds += n
	}
	return c
}
