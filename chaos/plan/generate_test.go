package plan

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGenerateIsAFunctionOfTheSeed(t *testing.T) {
	for seed := range uint64(20) {
		a, b := Generate(seed, Shape{}), Generate(seed, Shape{})
		if a.String() != b.String() {
			t.Fatalf("seed %d gives two plans:\n%s\n%s", seed, a, b)
		}
	}
	if a, b := Generate(1, Shape{}), Generate(2, Shape{}); reflect.DeepEqual(a.Faults, b.Faults) {
		t.Error("two seeds give the same faults")
	}
}

func TestGeneratedPlansKeepTheBudget(t *testing.T) {
	faults := 0
	for seed := range uint64(500) {
		p := Generate(seed, Shape{})
		if err := p.Validate(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p)
		}
		if p.Allow != (Allow{}) {
			t.Fatalf("seed %d exceeds the budget: %v", seed, p.Budget().Reasons)
		}
		faults += len(p.Faults)
	}
	if faults < 1500 {
		t.Errorf("500 plans have %d faults together", faults)
	}
}

func TestGeneratedPlansGetEverywhere(t *testing.T) {
	kinds, modes := map[Kind]int{}, map[Mode]int{}
	exceeds := 0
	for seed := range uint64(600) {
		p := Generate(seed, Shape{Layer: Sim | Real, Exceed: true})
		for i := range p.Faults {
			kinds[p.Faults[i].Kind]++
			modes[p.Faults[i].Mode]++
		}
		if p.Allow != (Allow{}) {
			exceeds++
		}
	}
	for _, s := range Specs() {
		if kinds[s.Kind] < 10 {
			t.Errorf("%s is drawn %d times", s.Kind, kinds[s.Kind])
		}
		for _, m := range s.Modes {
			if modes[m] == 0 {
				t.Errorf("mode %s is never drawn", m)
			}
		}
	}
	if exceeds < 50 {
		t.Errorf("%d of 600 plans exceed the budget", exceeds)
	}
}

// Swarm testing needs plans that leave most kinds out as well as plans that leave few out.
func TestSomeKindsAreOffInEveryPlan(t *testing.T) {
	least, most := len(specs), 0
	for seed := range uint64(200) {
		n := len(Generate(seed, Shape{Layer: Sim | Real}).Drawn.Kinds)
		least, most = min(least, n), max(most, n)
	}
	if least > 5 || most < 20 {
		t.Errorf("plans have %d to %d kinds on, of %d", least, most, len(specs))
	}
}

func TestQuietWindowsAreKept(t *testing.T) {
	for seed := range uint64(200) {
		p := Generate(seed, Shape{Exceed: true, Time: Time{Run: time.Minute}})
		quiet, end := 0, time.Duration(0)
		for _, e := range p.episodes() {
			if first := p.Faults[e[0]].At; first >= end+p.Time.Window && end > 0 {
				quiet++
			}
			for _, i := range e {
				end = max(end, p.Faults[i].End())
			}
		}
		if n := len(p.episodes()); n > 1 && quiet != n-1 {
			t.Fatalf("seed %d: %d quiet windows between %d episodes", seed, quiet, n)
		}
	}
}

// In a dense plan much happens that can be expected to have an effect, and nothing that cannot have any.
func TestDensePlans(t *testing.T) {
	shape := Shape{Layer: Real, Replicas: 3, Dense: 6, Time: Time{Run: 5 * time.Second, Window: 400 * time.Millisecond},
		Adapt: func(f *Fault) bool { f.Power = ""; return f.Op != OpCheckpoint }}
	for seed := range uint64(300) {
		p := Generate(seed, shape)
		if err := p.Validate(); err != nil || p.Allow != (Allow{}) {
			t.Fatalf("seed %d: %v, %v\n%s", seed, err, p.Budget().Reasons, p)
		}
		if len(p.Faults) < 15 {
			t.Errorf("seed %d has %d faults only:\n%s", seed, len(p.Faults), p)
		}
		for i := range p.Faults {
			switch f := &p.Faults[i]; {
			case !slices.Contains(p.Drawn.Kinds, f.Kind):
				t.Errorf("seed %d has %q, which is not among the kinds that are on: %v", seed, f, p.Drawn.Kinds)
			case f.Kind == Ring, f.Kind == Partition && len(f.Nodes.Nodes) == 3, f.Op == OpCheckpoint, f.Delay > f.For:
				t.Errorf("seed %d has %q, which can have no effect", seed, f)
			}
		}
	}
}

func TestReplicasDiffer(t *testing.T) {
	p := Generate(3, Shape{Replicas: 3, Trackers: []string{"cow", "uffd", "naive"}, Opts: []string{"none", "speed"}})
	if p.Replicas[0] == p.Replicas[1] || p.Replicas[1] == p.Replicas[2] {
		t.Errorf("replicas are alike:\n%s", p)
	}
	if p := Generate(3, Shape{Same: true, Replicas: 3}); p.Replicas[0] != (Options{}) {
		t.Errorf("replicas differ although they must not:\n%s", p)
	}
}

func TestBudget(t *testing.T) {
	for _, c := range []struct {
		name     string
		replicas int
		faults   string
		want     Allow
		excused  []int
	}{
		{"crashes of all are survived", 3, "at 1s for 1s crash nodes=all power=lost", Allow{}, nil},
		{"a full disk everywhere is survived", 3, "at 1s for 1s full-disk nodes=all", Allow{}, nil},
		{"a member is replaced", 3, "at 1s for 1s members nodes=2 mode=replace", Allow{}, nil},
		{"a member is replaced while another has no vote", 3, "at 1s for 1s members nodes=2 mode=replace\nat 1s for 1s members nodes=3 mode=demote", Allow{Loss: true}, nil},
		{"an abrupt wipe may lose", 3, "at 1s for 1s wipe nodes=1 mode=abrupt", Allow{Loss: true}, nil},
		{"a careful wipe does not", 3, "at 1s for 1s wipe nodes=1 mode=careful", Allow{}, nil},
		{"of two at once it may", 3, "at 1s for 1s wipe nodes=1,2 mode=careful", Allow{Loss: true}, nil},
		{"of two of five it does not", 5, "at 1s for 1s wipe nodes=1,2 mode=careful", Allow{}, nil},
		{"of one beside a partition of another it may", 3, "at 1s for 1s wipe nodes=1 mode=careful\nat 1s for 2s partition nodes=2", Allow{Loss: true}, nil},
		{"with a quiet window between it does not", 3, "at 1s for 1s wipe nodes=1 mode=careful\nat 6s for 2s partition nodes=2", Allow{}, nil},
		{"a window that is too short is none", 3, "at 1s for 1s wipe nodes=1 mode=careful\nat 4s for 2s partition nodes=2", Allow{Loss: true}, nil},
		{"the wiped one's own faults do not count twice", 3, "at 1s for 1s wipe nodes=1 mode=careful\nat 1.5s for 1s pause nodes=1", Allow{}, nil},
		{"weather does not count", 3, "at 0s for 9s delay nodes=all to=all delay=1ms\nat 1s for 1s wipe nodes=1 mode=careful", Allow{}, nil},
		{"a lying disk alone is survived", 3, "at 1s for 1s lying-disk nodes=1", Allow{}, nil},
		{"with a crash it is not", 3, "at 1s for 2s lying-disk nodes=1\nat 2s for 1s crash nodes=1 power=lost", Allow{Loss: true}, nil},
		{"with a crash that keeps all it is", 3, "at 1s for 2s lying-disk nodes=1\nat 2s for 1s crash nodes=1", Allow{}, nil},
		{"a crash of another is survived", 3, "at 1s for 2s lying-disk nodes=1\nat 2s for 1s crash nodes=2 power=lost", Allow{}, nil},
		{"a flipped bit in a log costs a replica", 3, "at 1s corrupt-log nodes=2", Allow{}, []int{2}},
		{"two of three stall, and more", 3, "at 1s corrupt-log nodes=1\nat 8s corrupt-log nodes=2", Allow{Stall: true, Loss: true}, []int{1, 2}},
		{"a wipe brings it back", 3, "at 1s corrupt-log nodes=2\nat 8s for 1s wipe nodes=2 mode=careful", Allow{}, nil},
		{"a broken replica and a crash of another", 3, "at 1s corrupt-log nodes=2\nat 8s for 1s kill nodes=1", Allow{Loss: true}, []int{2}},
		{"a truncated log may lose", 3, "at 1s corrupt-log nodes=2 mode=truncate", Allow{Loss: true}, []int{2}},
		{"one damaged checkpoint each is survived", 3, "at 1s corrupt-checkpoint nodes=1,2,3", Allow{}, nil},
		{"two of one replica cost it", 3, "at 1s corrupt-checkpoint nodes=1\nat 2s corrupt-checkpoint nodes=1", Allow{}, []int{1}},
		{"a single replica has no spare", 1, "at 1s for 1s wipe nodes=1 mode=careful", Allow{Loss: true}, nil},
	} {
		p := &Plan{Time: Time{Run: 10 * time.Second, Quiet: 20 * time.Second, Window: 3 * time.Second}, Workload: Workload{Name: "demo", Clients: 1},
			Replicas: make([]Options, c.replicas), Allow: c.want}
		got, err := Parse(strings.NewReader(p.String()+c.faults), "x")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		b := got.Budget()
		if !slices.Equal(b.Excused, c.excused) {
			t.Errorf("%s: excused are %v, want %v", c.name, b.Excused, c.excused)
		}
		if (b.MayLose || b.MayStall) != (len(b.Reasons) > 0) {
			t.Errorf("%s: reasons are %q", c.name, b.Reasons)
		}
	}
}

// culprits is a failure that needs two kinds of faults, one of them of replica 2, and four messages.
func culprits(_ context.Context, p *Plan) (bool, error) {
	crash, part := false, false
	for i := range p.Faults {
		f := &p.Faults[i]
		crash = crash || f.Kind == Crash && slices.Contains(f.Nodes.Nodes, 2) && f.For >= 300*time.Millisecond
		part = part || f.Kind == Partition
	}
	w := p.Workload
	return crash && part && (w.Operations == 0 || w.Operations >= 4) && len(p.Replicas) >= 3, nil
}

func TestShrinkFindsTheCulprits(t *testing.T) {
	p := Generate(7, Shape{Replicas: 5, Time: Time{Run: 2 * time.Minute}, Workload: Workload{Operations: 5000}})
	// What is added must stay within the budget, whatever was drawn beside it.
	p.Faults = slices.DeleteFunc(p.Faults, func(f Fault) bool { return slices.Contains([]Kind{Wipe, CorruptLog, CorruptCkpt, Members}, f.Kind) })
	p.Faults = append(p.Faults, Fault{At: 118 * time.Second, For: 1900 * time.Millisecond, Kind: Crash, Nodes: Listed(1, 2, 4), Power: Torn},
		Fault{At: 119 * time.Second, For: time.Second, Kind: Partition, Nodes: Named(Leader), Mode: Out})
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	b := p.Budget() // what was drawn before may be near
	p.Allow = Allow{Stall: b.MayStall, Loss: b.MayLose}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	before := p.String()
	s, err := Shrink(t.Context(), p, culprits, ShrinkLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != before {
		t.Error("the plan itself was changed")
	}
	if ok, _ := culprits(t.Context(), s.Plan); !ok || s.Plan.Validate() != nil {
		t.Errorf("what was found does not fail, or is no plan:\n%s", s.Plan)
	}
	got := s.Plan
	if got.Faults[0].At != 0 || got.Time.Run > 3*time.Second || got.Time.Quiet != p.Time.Quiet {
		t.Errorf("time that nothing needs is left:\n%s", got)
	}
	if len(got.Faults) != 2 || len(got.Replicas) != 3 || got.Workload.Operations >= 8 || got.Workload.Clients != 1 || s.Exhausted {
		t.Errorf("after %d attempts it is still\n%s", s.Attempts, got)
	}
	crash := got.Faults[slices.IndexFunc(got.Faults, func(f Fault) bool { return f.Kind == Crash })]
	if crash.Power != "" || crash.For >= 600*time.Millisecond {
		t.Errorf("the crash is still %s", &crash)
	}
}

func TestShrinkStops(t *testing.T) {
	p := Generate(7, Shape{Time: Time{Run: 5 * time.Minute}})
	calls := 0
	told := 0
	s, err := Shrink(t.Context(), p, func(context.Context, *Plan) (bool, error) { calls++; return false, nil },
		ShrinkLimits{Attempts: 9, Tried: func(a Attempt) {
			if told++; a.Number != told || a.Failed || a.Change != "fewer faults" {
				t.Errorf("told of %+v as attempt %d", a, told)
			}
		}})
	if err != nil || calls != 9 || told != 9 || s.Attempts != 9 || !s.Exhausted || s.Plan.String() != p.String() {
		t.Errorf("%d calls, %+v, %v", calls, s, err)
	}
	broken := errors.New("broken")
	if _, err := Shrink(t.Context(), p, func(context.Context, *Plan) (bool, error) { return true, broken }, ShrinkLimits{}); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestShrinkNeverLeavesTheBudget(t *testing.T) {
	p := mustParse(t, strings.Replace(sample, "at 18s for", "at 18s for 100ms wipe nodes=1 mode=careful\nat 21.5s for", 1))
	_, err := Shrink(t.Context(), p, func(_ context.Context, p *Plan) (bool, error) {
		if p.Allow != (Allow{}) {
			t.Errorf("tried beyond the budget:\n%s", p)
		}
		return len(p.Faults) > 3, nil
	}, ShrinkLimits{})
	if err != nil {
		t.Fatal(err)
	}
}

// A batch of a hundred plans misses a recipe with a probability of less than one in ten thousand if a tenth of the plans begin with it.
func TestPlansBeginWithEveryRecipe(t *testing.T) {
	const plans = 1000
	counts := make([]int, len(recipes))
	for seed := range uint64(plans) {
		d := newDrawer(seed, Shape{})
		d.complete()
		if r := d.chooseRare(); r != nil {
			counts[slices.IndexFunc(recipes, func(o recipe) bool { return reflect.DeepEqual(o.kinds, r.kinds) && o.installs == r.installs })]++
		}
	}
	for i, n := range counts {
		if n < plans*9/100 {
			t.Errorf("recipe %d of kinds %v: %d of %d plans begin with it", i, recipes[i].kinds, n, plans)
		}
	}
}

// What a recipe needs is there whatever else is drawn, and only what the shape allows.
func TestRecipesKeepToTheShape(t *testing.T) {
	for seed := range uint64(300) {
		p := Generate(seed, Shape{Kinds: []Kind{Pause, Loss}, Time: Time{Run: 12 * time.Second}})
		for i := range p.Faults {
			if k := p.Faults[i].Kind; k != Pause && k != Loss {
				t.Fatalf("seed %d: a plan of pauses and losses has a %s", seed, k)
			}
		}
		if p := Generate(seed, Shape{Time: Time{Run: 2 * time.Second}}); len(p.Faults) > 0 && p.Validate() != nil {
			t.Fatalf("seed %d: %v", seed, p.Validate())
		}
	}
}

// Only replicas that are processes are drawn with a number of processors.
func TestProcessorsAreDrawnForProcesses(t *testing.T) {
	drawn := map[Layer]int{}
	for _, layer := range []Layer{Sim, Real} {
		for seed := range uint64(20) {
			for _, o := range Generate(seed+1, Shape{Layer: layer}).Replicas {
				if o.Procs != 0 {
					drawn[layer]++
				}
			}
		}
	}
	if drawn[Sim] != 0 || drawn[Real] == 0 {
		t.Errorf("simulated replicas with a number of processors: %d, real ones: %d", drawn[Sim], drawn[Real])
	}
}

// With one replica in place of several, or less time to get on, a correct cluster fails too: that is not what is looked for.
func TestShrinkKeepsACluster(t *testing.T) {
	for _, replicas := range []int{1, 2, 3, 4, 5, 7} {
		p := Generate(5, Shape{Replicas: replicas, Time: Time{Run: 20 * time.Second}})
		s, err := Shrink(t.Context(), p, func(_ context.Context, p *Plan) (bool, error) { return true, p.Validate() }, ShrinkLimits{Attempts: 1000})
		if err != nil || s.Exhausted {
			t.Fatalf("%d replicas: %v", replicas, err)
		}
		if n := len(s.Plan.Replicas); n != min(replicas, leastReplicas) || s.Plan.Time.Quiet != p.Time.Quiet {
			t.Errorf("of %d replicas %d are left, of quiet=%v %v", replicas, n, p.Time.Quiet, s.Plan.Time.Quiet)
		}
	}
}
