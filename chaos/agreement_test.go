package chaos

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// rootOf gives a root that differs for every (round, flavour), and by its last byte only between flavours.
func rootOf(round fsm.RoundNumber, flavour byte) pagetrie.Hash {
	var h pagetrie.Hash
	for i := range 8 {
		h[i] = byte(round >> (8 * i))
	}
	h[31] = flavour
	return h
}

func att(round fsm.RoundNumber, flavour byte) fsm.Attestation {
	return fsm.Attestation{Round: round, Root: rootOf(round, flavour)}
}

// agreementChecker is what the scenarios need of an Agreement, so that they can be run on broken ones too.
type agreementChecker interface {
	Report(replica int, att fsm.Attestation) *Disagreement
	Skip(replica int, first, last fsm.RoundNumber)
	Counts() AgreementCounts
}

// agreementScenarios each return an error if the checker got them wrong.
var agreementScenarios = []struct {
	name string
	run  func(newChecker func(AgreementConfig) agreementChecker) error
}{
	{"all equal", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}})
		for round := fsm.RoundNumber(1); round <= 10; round++ {
			for replica := range 3 {
				if d := a.Report(replica, att(round, 0)); d != nil {
					return fmt.Errorf("false alarm: %v", d)
				}
			}
		}
		return wantWitnessed(a, 0, 0, 0, 10)
	}},
	{"a round in the middle differs on the last replica", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}})
		return plant(a, 3, 20, 7)
	}},
	{"the first round differs", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2"}})
		return plant(a, 2, 5, 1)
	}},
	{"a round before the run differs", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2"}, From: 50})
		a.Report(0, att(40, 0))
		if d := a.Report(1, att(40, 1)); d == nil || d.Round != 40 {
			return fmt.Errorf("got %v, want the disagreement at round 40", d)
		}
		return nil
	}},
	{"a replayed round gives another root", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2"}})
		a.Report(0, att(1, 0))
		a.Report(0, att(2, 0))
		if d := a.Report(0, att(1, 1)); d == nil || d.Round != 1 || d.Differs.Replica != "n1" || d.Agreed[0].Replica != "n1" {
			return fmt.Errorf("got %v, want n1 to disagree with itself at round 1", d)
		}
		return nil
	}},
	{"one replica alone proves nothing", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2"}})
		for round := fsm.RoundNumber(1); round <= 4; round++ {
			a.Report(0, att(round, 0))
			a.Report(0, att(round, 0)) // a replay is no second witness
		}
		return wantWitnessed(a, 0, 4, 0)
	}},
	{"a skipped round has no witness", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}})
		for round := fsm.RoundNumber(1); round <= 10; round++ {
			a.Report(0, att(round, 0))
			a.Report(1, att(round, 0))
		}
		a.Skip(2, 1, 8)
		a.Report(2, att(9, 0))
		a.Report(2, att(10, 0))
		a.Report(2, att(3, 0)) // replayed after all
		if c := a.Counts(); c.Replicas[2].Skipped != 7 || c.Missing(2) != 0 || c.Replicas[2].Compared != 3 {
			return fmt.Errorf("got %+v, want 7 skipped, 3 compared, none missing", c.Replicas[2])
		}
		return wantWitnessed(a, 0, 0, 7, 3)
	}},
	{"rounds that nobody reported", func(newChecker func(AgreementConfig) agreementChecker) error {
		a := newChecker(AgreementConfig{Replicas: []string{"n1", "n2"}, From: 2})
		for replica := range 2 {
			a.Report(replica, att(1, 0))
			a.Report(replica, att(6, 0))
		}
		if c := a.Counts(); c.Rounds != 4 || c.Unproven() != 3 || c.Missing(0) != 3 {
			return fmt.Errorf("got %+v, want 4 rounds of which 3 unproven", c)
		}
		return wantWitnessed(a, 3, 0, 1)
	}},
}

// plant reports rounds 1 to last, with another root for one round on the last replica, and wants exactly that named.
func plant(a agreementChecker, replicas int, last, bad fsm.RoundNumber) error {
	for round := fsm.RoundNumber(1); round <= last; round++ {
		for replica := range replicas {
			flavour := byte(0)
			if round == bad && replica == replicas-1 {
				flavour = 1
			}
			d := a.Report(replica, att(round, flavour))
			if round < bad || round == bad && flavour == 0 {
				if d != nil {
					return fmt.Errorf("false alarm at round %d: %v", round, d)
				}
				continue
			}
			name := fmt.Sprintf("n%d", replicas)
			if d == nil || d.Round != bad || d.Differs.Replica != name || d.Differs.Root != Root(rootOf(bad, 1)) ||
				len(d.Agreed) != replicas-1 || d.Agreed[0] != (Witness{"n1", Root(rootOf(bad, 0))}) {
				return fmt.Errorf("after round %d of replica %d got %v, want round %d of %s", round, replica, d, bad, name)
			}
		}
	}
	return nil
}

func wantWitnessed(a agreementChecker, want ...uint64) error {
	if got := a.Counts().Witnessed; !reflect.DeepEqual(got, want) {
		return fmt.Errorf("witnessed %v, want %v", got, want)
	}
	return nil
}

func TestAgreement(t *testing.T) {
	for _, s := range agreementScenarios {
		t.Run(s.name, func(t *testing.T) {
			if err := s.run(func(c AgreementConfig) agreementChecker { return NewAgreement(c) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// mutant is an Agreement with something broken on its way in or out.
type mutant struct {
	*Agreement
	report func(a *Agreement, replica int, att fsm.Attestation) *Disagreement
	skip   func(a *Agreement, replica int, first, last fsm.RoundNumber)
	counts func(a *Agreement) AgreementCounts
}

func (m mutant) Report(replica int, att fsm.Attestation) *Disagreement {
	if m.report != nil {
		return m.report(m.Agreement, replica, att)
	}
	return m.Agreement.Report(replica, att)
}

func (m mutant) Skip(replica int, first, last fsm.RoundNumber) {
	if m.skip != nil {
		m.skip(m.Agreement, replica, first, last)
		return
	}
	m.Agreement.Skip(replica, first, last)
}

func (m mutant) Counts() AgreementCounts {
	if m.counts != nil {
		return m.counts(m.Agreement)
	}
	return m.Agreement.Counts()
}

// TestAgreementMutants shows that the scenarios can fail: every broken checker must be found out by one of them.
func TestAgreementMutants(t *testing.T) {
	mutants := map[string]mutant{
		"never finds anything": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			a.Report(replica, att)
			return nil
		}},
		"does not listen to the last replica": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			if replica == len(a.replicas)-1 {
				return nil
			}
			return a.Report(replica, att)
		}},
		"compares a shortened root": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			att.Root[31] = 0
			return a.Report(replica, att)
		}},
		"looks at every second round": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			if att.Round%2 == 1 {
				return nil
			}
			return a.Report(replica, att)
		}},
		"ignores rounds before the run": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			if att.Round <= a.from {
				return nil
			}
			return a.Report(replica, att)
		}},
		"ignores what was reported before": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			if att.Round <= a.Newest() && a.record(att.Round).seen&(1<<replica) != 0 {
				return nil
			}
			return a.Report(replica, att)
		}},
		"believes that the newest reporter is wrong about the round": {report: func(a *Agreement, replica int, att fsm.Attestation) *Disagreement {
			d := a.Report(replica, att)
			if d != nil {
				d = &Disagreement{Round: d.Round + 1, Agreed: d.Agreed, Differs: d.Differs}
			}
			return d
		}},
		"takes a skipped round for a reported one": {skip: func(a *Agreement, replica int, first, last fsm.RoundNumber) {
			for round := first; round <= last; round++ {
				a.Report(replica, fsm.Attestation{Round: round, Root: a.record(round).root})
			}
		}},
		"forgets skips": {skip: func(*Agreement, int, fsm.RoundNumber, fsm.RoundNumber) {}},
		"counts a single witness as agreement": {counts: func(a *Agreement) AgreementCounts {
			c := a.Counts()
			c.Witnessed[2], c.Witnessed[1] = c.Witnessed[2]+c.Witnessed[1], 0
			return c
		}},
		"counts a silent round as agreement": {counts: func(a *Agreement) AgreementCounts {
			c := a.Counts()
			c.Witnessed[2], c.Witnessed[0] = c.Witnessed[2]+c.Witnessed[0], 0
			return c
		}},
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			for _, s := range agreementScenarios {
				err := s.run(func(c AgreementConfig) agreementChecker {
					m.Agreement = NewAgreement(c)
					return m
				})
				if err != nil {
					return
				}
			}
			t.Error("no scenario noticed")
		})
	}
}

// TestAgreementRandom compares the incremental counts with counting from scratch over random reports.
func TestAgreementRandom(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		replicas := 1 + rng.IntN(5)
		names := []string{"n1", "n2", "n3", "n4", "n5"}[:replicas]
		from := fsm.RoundNumber(rng.IntN(20))
		a := NewAgreement(AgreementConfig{Replicas: names, From: from})
		seen, skipped := map[[2]uint64]bool{}, map[[2]uint64]bool{}
		newest := fsm.RoundNumber(0)
		for range 150 {
			replica, round := rng.IntN(replicas), fsm.RoundNumber(1+rng.IntN(40))
			newest = max(newest, round)
			key := [2]uint64{uint64(replica), uint64(round)}
			if rng.IntN(4) == 0 {
				a.Skip(replica, round, round)
				skipped[key] = true
			} else {
				a.Report(replica, att(round, 0))
				seen[key] = true
			}
		}
		want := AgreementCounts{Witnessed: make([]uint64, replicas+1), Replicas: make([]ReplicaCounts, replicas)}
		for round := from + 1; round <= newest; round++ {
			var by []int
			for replica := range replicas {
				key := [2]uint64{uint64(replica), uint64(round)}
				if seen[key] {
					by = append(by, replica)
					want.Replicas[replica].Reported++
				} else if skipped[key] {
					want.Replicas[replica].Skipped++
				}
			}
			want.Rounds++
			want.Witnessed[len(by)]++
			if len(by) > 1 {
				for _, replica := range by {
					want.Replicas[replica].Compared++
				}
			}
		}
		got := a.Counts()
		for i := range got.Replicas {
			got.Replicas[i].Repeated = 0
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: got %+v, want %+v", seed, got, want)
		}
	}
}

// TestAgreementWindow keeps the memory bounded and says what was not compared any more.
func TestAgreementWindow(t *testing.T) {
	a := NewAgreement(AgreementConfig{Replicas: []string{"n1", "n2"}, Window: 64})
	for round := fsm.RoundNumber(1); round <= 1000; round++ {
		a.Report(0, att(round, 0))
	}
	if len(a.rounds) > 64 {
		t.Errorf("%d rounds are kept, the window is 64", len(a.rounds))
	}
	if d := a.Report(1, att(1, 1)); d != nil {
		t.Errorf("a round outside the window was compared: %v", d)
	}
	a.Report(1, att(1000, 0))
	a.Report(0, att(1<<60, 0))
	a.Skip(1, 1, 1<<61)
	c := a.Counts()
	if c.Rounds != 1<<61 || c.Compared() != 1 || c.Replicas[1].Late != 1 || c.Replicas[1].Compared != 1 {
		t.Errorf("got %+v", c)
	}
	if len(a.rounds) > 64 {
		t.Errorf("%d rounds are kept after a jump, the window is 64", len(a.rounds))
	}
}

func TestDisagreementString(t *testing.T) {
	a := NewAgreement(AgreementConfig{Replicas: []string{"n1", "n2", "n3"}})
	a.Report(0, att(5, 0))
	a.Report(2, att(5, 0))
	got := a.Report(1, att(5, 9)).String()
	for _, want := range []string{"round 5", "n1, n3 had root", "n2 has root", rootOf(5, 0).String(), rootOf(5, 9).String()} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}
