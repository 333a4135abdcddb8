package plan

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const sample = `lockstep-plan 1
seed 42
drawn wild=0.31 kinds=partition,crash
time run=40s quiet=20s window=3s
cluster election=300ms
workload name=demo seed=7 clients=6 operations=500 rate=40 queries=0.2 stale=0.05 duplicates=0.1
replica 1 tracker=adaptive opt=speed workers=2 procs=1 checkpoint=64 kept=2 trailing=50 messages=16 bytes=4096 inflight=2 append=7
replica 2
replica 3 tracker=compare
at 0s for 40s delay nodes=all to=all delay=1ms jitter=5ms
at 1s for 2s cut nodes=1 to=2,3 mode=half-open
at 6s for 4s partition nodes=leader mode=out until=compacted
at 13s for 1.5s crash nodes=2 power=torn
at 18s for 1s disk-error nodes=3 mode=once op=vote after=2
at 22s for 500ms clock nodes=1 mode=drift skew=-1h0m0s
at 23s transfer to=3
at 26s corrupt-checkpoint nodes=1 mode=flip
at 30s for 4s rolling gap=100ms shift=1
`

func mustParse(t *testing.T, text string) *Plan {
	t.Helper()
	p, err := Parse(strings.NewReader(text), "sample")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTextIsExact(t *testing.T) {
	p := mustParse(t, sample)
	if got := p.String(); got != sample {
		t.Errorf("printed again:\n%s", got)
	}
	f := p.Faults[3]
	want := Fault{At: 13 * time.Second, For: 1500 * time.Millisecond, Kind: Crash, Nodes: Listed(2), Power: Torn}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("fault 4 is %+v", f)
	}
	if f.Left() != Torn || p.Faults[1].Variant() != HalfOpen || p.Faults[7].Variant() != Flip {
		t.Error("variants are not what is written")
	}
}

func TestSpellingsDoNotMatter(t *testing.T) {
	loose := strings.ReplaceAll(sample, "at 6s for 4s", "\n# a comment\n   at   6000ms   for 4000ms ")
	if got := mustParse(t, loose).String(); got != sample {
		t.Errorf("printed again:\n%s", got)
	}
}

func TestGeneratedPlansAreExactToo(t *testing.T) {
	for seed := range uint64(300) {
		p := Generate(seed, Shape{Layer: Sim | Real, Exceed: seed%2 == 0, Trackers: []string{"cow", "uffd"}, Opts: []string{"none"}})
		again := mustParse(t, p.String())
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("seed %d: parsed again it is another plan:\n%s\n%s", seed, p, again)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	p := mustParse(t, sample)
	c := p.Clone()
	c.Faults[1].To.Nodes[0], c.Faults[0].Rate, c.Replicas[0].Kept, c.Drawn.Kinds[0] = 3, 1, 9, Wipe
	if p.String() != sample {
		t.Errorf("the plan changed with its clone:\n%s", p)
	}
}

func TestErrorsNameTheLineAndTheWord(t *testing.T) {
	head := "lockstep-plan 1\ntime run=10s quiet=20s\nworkload name=demo clients=1\nreplica 1\nreplica 2\nreplica 3\n"
	for _, c := range []struct{ text, want string }{
		{"", "x: the plan is empty|x:0: the plan is empty"},
		{"plan\n", `x:1: the first line is "plan", a plan begins with "lockstep-plan 1"`},
		{head + "at 1s for 1s crsh nodes=1", `x:7: unknown fault "crsh"; there are delay,`},
		{head + "at 1s for 1s crash", "x:7: crash needs nodes="},
		{head + "at 1s crash nodes=1", `x:7: crash lasts: write "for" and a duration from 1ms to 24h0m0s`},
		{head + "at 1s for 1s transfer to=1", `x:7: transfer is over at once: leave "for 1s" away`},
		{head + "at 1s for 1s crash nodes=1 rate=0.5", "x:7: crash has no rate=; it has nodes, power"},
		{head + "at 1s for 1s crash nodes=1 colour=red", `x:7: unknown key "colour"; there are nodes,`},
		{head + "at 1s for 1s crash nodes=1 nodes=2", "x:7: nodes is there twice"},
		{head + "at 1s for 1s crash nodes=2,1", "x:7: nodes=: replicas 2,1 are not in ascending order"},
		{head + "at 1s for 1s crash nodes=zero", `x:7: nodes=: "zero" is not a replica`},
		{head + "at 1s for 1s crash nodes=others", "x:7: crash: nodes=others: only to= can be others"},
		{head + "at 1s for 1s crash nodes=1 power=half", "x:7: power=half: write one of kept, lost, torn"},
		{head + "at 1s for 1s cut nodes=1 to=2 mode=flip", "x:7: mode=flip: write one of drop, reset, half-open"},
		{head + "at 1s for 1s loss nodes=1 to=2 rate=1.5", "x:7: rate=1.5: write a number from 0 to 1"},
		{head + "at 1s for 1s loss nodes=1 to=2 rate=NaN", "x:7: rate=NaN: write a number from 0 to 1"},
		{head + "at soon crash", "x:7: at=soon: write a duration from 0s to 720h0m0s"},
		{head + "at 1s for 1s", "x:7: a fault without a kind"},
		{head + "at 9s for 2s kill nodes=1", "fault 1 (at 9s for 2s kill nodes=1): it ends at 11s, the time to run is over at 10s"},
		{head + "at 1s for 2s kill nodes=4", "fault 1 (at 1s for 2s kill nodes=4): replica 4: there are 3"},
		{head + "at 2s for 2s kill nodes=1\nat 1s for 2s kill nodes=1", "fault 2 (at 1s for 2s kill nodes=1) comes after one at 2s"},
		{head + "replica 5", "x:7: this line is about replica 4"},
		{head + "seed 1\nseed 2", `x:8: a second line "seed"; the first is line 7`},
		{head + "allow everything", `x:7: cannot allow "everything"; write stall or loss`},
		{head + "allow loss", `the line "allow loss" is too much`},
		{head + "at 1s for 1s wipe nodes=1 mode=abrupt", `write the line "allow loss", or fewer faults: at 1s replica 1 is wiped abruptly`},
		{head + "weather rain", `x:7: unknown line "weather"; lines begin with seed, replica, allow, at, drawn, time, cluster, workload`},
		{head + "replica 4 checkpoint=0", "x:7: checkpoint=0: write a whole number from 1 to"},
		{"lockstep-plan 1\nreplica 1\n", "x: no time to run"},
		{strings.Replace(head, "quiet=20s", "quiet=1s", 1), "x: quiet=1s is too short: after these faults a correct cluster may take 8s to get on; write quiet=8s or more"},
		{strings.Replace(head, " quiet=20s", "", 1) + "at 1s for 8s pause nodes=1\nat 1s for 9s loss nodes=1 to=2 rate=0.5", "quiet=0s is too short: after these faults a correct cluster may take 12s"},
		{strings.Replace(head, "run=10s quiet=20s", "run=1m quiet=14s", 1) + "at 1s for 40s pause nodes=1", "quiet=14s is too short: after these faults a correct cluster may take 14.24s"},
		{"lockstep-plan 1\ntime run=1s\nworkload name=a clients=1\n", "x: 0 replicas: 1 to 9 are possible"},
	} {
		_, err := Parse(strings.NewReader(c.text), "x")
		want, _, _ := strings.Cut(c.want, "|")
		if err == nil {
			t.Errorf("no error for %q, want %q", c.text[max(0, len(c.text)-50):], want)
			continue
		}
		ok := false
		for w := range strings.SplitSeq(c.want, "|") {
			ok = ok || strings.Contains(err.Error(), w)
		}
		if !ok {
			t.Errorf("error is\n  %v\nwant\n  %s", err, c.want)
		}
	}
}

func TestErrorsAreToldTogetherUpToTen(t *testing.T) {
	_, err := Parse(strings.NewReader(magic+strings.Repeat("\nat x", 20)), "x")
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d errors are told, want %d", n, maxErrors)
	}
}

func TestStepsEndBeforeTheyBegin(t *testing.T) {
	p := mustParse(t, strings.Replace(sample, "at 13s for 1.5s", "at 10s for 1.5s", 1))
	var order []int
	for _, s := range p.Steps() {
		n := s.Fault
		if !s.Begin {
			n = -n
		}
		order = append(order, n)
	}
	want := []int{1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, 8, 9, -9, -1}
	// Fault 6 lasts until 22.5 s, before 7 begins.
	if !reflect.DeepEqual(order, want) {
		t.Errorf("steps are %v, want %v", order, want)
	}
}

func TestTargetsResolve(t *testing.T) {
	for _, c := range []struct {
		target string
		roles  Roles
		want   []int
	}{
		{"1,3", Roles{Replicas: 3}, []int{1, 3}},
		{"1,5", Roles{Replicas: 3}, []int{1}},
		{"all", Roles{Replicas: 3}, []int{1, 2, 3}},
		{"leader", Roles{Replicas: 3, Leader: 2}, []int{2}},
		{"leader", Roles{Replicas: 3}, []int{1}},
		{"follower", Roles{Replicas: 3, Leader: 3}, []int{1}},
		{"followers", Roles{Replicas: 3, Leader: 2}, []int{1, 3}},
		{"minority", Roles{Replicas: 5, Leader: 5}, []int{1, 5}},
		{"others", Roles{Replicas: 4, Besides: []int{2, 3}}, []int{1, 4}},
	} {
		target, err := parseTarget(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.Resolve(c.roles); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s with %+v is %v, want %v", c.target, c.roles, got, c.want)
		}
	}
}

func TestEveryKindIsDescribedAndCanBeWritten(t *testing.T) {
	for _, spec := range Specs() {
		if spec.Doc == "" || spec.Layers == 0 {
			t.Errorf("%s lacks its description", spec.Kind)
		}
		d := newDrawer(1, Shape{Replicas: 3, Exceed: true})
		f := d.fault(spec.Kind, time.Second, 5*time.Second)
		if err := f.validate(); err != nil {
			t.Errorf("%s: %v", &f, err)
		}
		var known []Key
		for _, v := range f.values() {
			known = append(known, v.key)
		}
		for _, k := range append(append([]Key(nil), spec.Needs...), spec.May...) {
			if !contains(known, k) {
				t.Errorf("%s has a field %s that faults do not have", spec.Kind, k)
			}
		}
		if contains(append(spec.Needs, spec.May...), "mode") != (len(spec.Modes) > 0) {
			t.Errorf("%s: modes and mode= do not go together", spec.Kind)
		}
	}
}

func TestSupports(t *testing.T) {
	p := mustParse(t, sample)
	if err := p.Supports(Sim); err != nil {
		t.Error(err)
	}
	if err := p.Supports(Real); err == nil || !strings.Contains(err.Error(), "crash nodes=2 power=torn) cannot be injected here") {
		t.Errorf("a crash with torn writes needs a simulation: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	for seed := range uint64(5) {
		f.Add(Generate(seed, Shape{Exceed: true}).String())
	}
	f.Add("lockstep-plan 1\nat 1s for")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(strings.NewReader(text), "fuzz")
		if err != nil {
			return
		}
		once := p.String()
		again, err := Parse(strings.NewReader(once), "again")
		if err != nil {
			t.Fatalf("printed, it cannot be read: %v\n%s", err, once)
		}
		if !reflect.DeepEqual(p, again) || again.String() != once {
			t.Fatalf("printed and read it is another plan:\n%s\n%s", once, again)
		}
	})
}

// What is told of a kind has all the fields that its line needs, and parses once they are filled in.
func TestLinesOfKinds(t *testing.T) {
	fill := strings.NewReplacer("at TIME", "at 1s", "for TIME", "for 1s", "REPLICAS", "1", "NUMBER", "1", "TIME", "10ms", "[", "", "]", "")
	for _, s := range Specs() {
		words := strings.Fields(fill.Replace(s.Line()))
		for i := range words {
			words[i], _, _ = strings.Cut(words[i], "|")
		}
		text := "lockstep-plan 1\nseed 1\ntime run=5s quiet=20s\nreplica 1\nreplica 2\nreplica 3\nworkload name=demo clients=1\n"
		for _, allow := range []string{"", "allow loss\n", "allow stall\n", "allow loss,stall\n"} {
			if _, err := Parse(strings.NewReader(text+allow+strings.Join(words, " ")+"\n"), "plan"); err == nil {
				words = nil
				break
			}
		}
		if words != nil {
			_, err := Parse(strings.NewReader(text+strings.Join(words, " ")+"\n"), "plan")
			t.Errorf("%s: %v", s.Line(), err)
		}
	}
}
