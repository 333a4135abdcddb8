package workload

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"lockstep/fsm"
)

func TestShuffleVisitsEveryPlaceOnce(t *testing.T) {
	for _, length := range []uint64{1, 2, 3, 5, 64, 65, 1000, 4097} {
		seen := make([]bool, length)
		moved := 0
		for at := range length {
			to := shuffled(42, at, length)
			if to >= length || seen[to] {
				t.Fatalf("length %d: place %d goes to %d, which is outside or taken", length, at, to)
			}
			seen[to] = true
			if to != at {
				moved++
			}
		}
		if length >= 64 && moved < int(length)*9/10 {
			t.Errorf("length %d: only %d places moved", length, moved)
		}
	}
}

func TestNeighbouringGeneratorsAreMixedExactly(t *testing.T) {
	w := mustParse(t, `{"canister":"a","method":"first"}
{"generate":"uniform","canister":"b","count":900}
{"generate":"uniform","canister":"c","count":100}
{"canister":"a","method":"middle"}
{"generate":"uniform","canister":"d","count":50}`)
	messages := firstPass(w, 3, 1)
	counts := map[string]int{}
	for _, m := range messages {
		counts[m.Canister]++
	}
	if got := fmt.Sprint(counts); got != "map[a:2 b:900 c:100 d:50]" {
		t.Error(got)
	}
	if messages[0].Method != "first" || messages[1001].Method != "middle" {
		t.Error("the message lines left their places")
	}
	early := 0
	for _, m := range messages[1:501] {
		if m.Canister == "c" {
			early++
		}
	}
	if early < 30 || early > 70 {
		t.Errorf("%d of 100 messages of the second generator are in the first half", early)
	}
}

// keyCounts counts how often each key is put in so many messages.
func keyCounts(t *testing.T, line string, keys int) []float64 {
	t.Helper()
	w := mustParse(t, line)
	counts := make([]float64, keys)
	for i := range w.Len() {
		var key int
		if _, err := fmt.Sscanf(string(w.Message(11, i).Arg), "key/%d=", &key); err != nil {
			t.Fatal(err)
		}
		counts[key]++
	}
	return counts
}

func TestKeysFollowTheirDistribution(t *testing.T) {
	const keys, count = 50, 50_000
	for _, exponent := range []float64{0, 0.5, 0.99, 1, 2} {
		line := fmt.Sprintf(`{"generate":"skewed","keys":%d,"count":%d,"zipf":%g,"value_bytes":0}`, keys, count, exponent)
		if exponent == 0 {
			line = fmt.Sprintf(`{"generate":"uniform","keys":%d,"count":%d,"value_bytes":0}`, keys, count)
		}
		total := 0.0
		for k := range keys {
			total += math.Pow(float64(k+1), -exponent)
		}
		chi := 0.0 // Pearson's statistic: about keys-1, give or take its spread of sqrt(2*(keys-1))
		for k, got := range keyCounts(t, line, keys) {
			want := count * math.Pow(float64(k+1), -exponent) / total
			chi += (got - want) * (got - want) / want
		}
		if limit := (keys - 1) + 5*math.Sqrt(2*(keys-1)); chi > limit {
			t.Errorf("exponent %g: chi-squared %.0f, at most %.0f expected", exponent, chi, limit)
		}
	}
}

func TestReadFraction(t *testing.T) {
	w := mustParse(t, `{"generate":"uniform","method":["put","append"],"read_fraction":0.25,"count":10000}`)
	methods := map[string]int{}
	for i := range w.Len() {
		m := w.Message(5, i)
		methods[m.Method]++
		if m.Query != (m.Method == "get") {
			t.Fatalf("%s as query: %t", m.Method, m.Query)
		}
	}
	for method, want := range map[string]int{"get": 2500, "put": 3750, "append": 3750} {
		if got := methods[method]; got < want-300 || got > want+300 {
			t.Errorf("%d times %s, about %d expected", got, method, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	tests := []struct{ line, want string }{
		{`{"generate":"uniform","keys":1,"value_bytes":5}`, `^key/0=[-_a-zA-Z0-9]{5}$`},
		{`{"generate":"uniform","text":"{\"id\":$n,\"price\":\"$$$random\"}"}`, `^\{"id":0,"price":"\$[0-9]+"\}$`},
		{`{"generate":"memory","pages":9,"area":10,"stride":2,"bytes":3}`, `^pages=9 area=10 stride=2 bytes=3 seed=[0-9]+$`},
		{`{"generate":"memory","text":"100$$"}`, `^100\$$`},
	}
	for _, test := range tests {
		arg := mustParse(t, test.line).Message(1, 0).Arg
		if !regexp.MustCompile(test.want).Match(arg) {
			t.Errorf("%s makes %q, want %s", test.line, arg, test.want)
		}
	}
}

func TestLinesAlikeChooseDifferently(t *testing.T) {
	const line = `{"generate":"uniform","keys":1000,"count":100}`
	first := describe(firstPass(mustParse(t, line), 1, 1))
	if first == describe(firstPass(mustParse(t, strings.Replace(line, "{", `{"seed":2,`, 1)), 1, 1)) {
		t.Error("a seed on the line changes nothing")
	}
	w := mustParse(t, line+"\n"+`{"canister":"kv","method":"len"}`+"\n"+line)
	messages := firstPass(w, 1, 1)
	if describe(messages[:100]) == describe(messages[101:]) {
		t.Error("two lines alike make the same messages")
	}
	seen := map[string]bool{}
	for _, m := range firstPass(mustParse(t, line+"\n"+line), 1, 1) {
		if seen[string(m.Arg)] {
			t.Fatalf("two neighbouring lines alike both make %q", m.Arg)
		}
		seen[string(m.Arg)] = true
	}
}

func BenchmarkMessage(b *testing.B) {
	w := Default()
	var index uint64
	for b.Loop() {
		w.Message(1, index)
		index++
	}
}

// Changes of a canister's life are messages like others, and bring the module that the canister has.
func TestLifeGenerator(t *testing.T) {
	w := mustParse(t, `{"generate":"life","canister":"counter-2","change":["stop","upgrade","delete"],"count":60}`)
	modules, err := CompleteModules(nil, w.Canisters())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i := range w.Len() {
		m := w.Message(3, i)
		message, err := m.Replicated(modules)
		if err != nil {
			t.Fatal(err)
		}
		if err := message.Validate(); err != nil {
			t.Fatal(err)
		}
		if brings := len(message.Module) > 0; brings != (message.Kind == fsm.KindUpgrade) {
			t.Errorf("%s with a module: %t", message.Kind, brings)
		}
		seen[m.Title()]++
	}
	if len(seen) != 3 || seen["counter-2:stop"] < 5 || seen["counter-2:upgrade"] < 5 || seen["counter-2:delete"] < 5 {
		t.Errorf("changes %v", seen)
	}
	if _, err := (&Message{Canister: "kv", Change: fsm.KindUpgrade}).Replicated(modules); err == nil {
		t.Error("an upgrade to an unknown module is made")
	}
}
