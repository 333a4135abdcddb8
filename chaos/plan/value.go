package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// value is one key=value of a line: how it is printed and read. An empty text is a zero, which is left out.
type value struct {
	key   Key
	means string // what may stand behind the =, in a word or as a choice of words
	print func() string
	parse func(string) error
}

func intValue(key Key, p *int, least, most int) value {
	return value{key, "NUMBER", func() string {
		if *p == 0 {
			return ""
		}
		return strconv.Itoa(*p)
	}, func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most || strconv.Itoa(n) != text {
			return fmt.Errorf("%s=%s: write a whole number from %d to %d", key, clip(text), least, most)
		}
		*p = n
		return nil
	}}
}

func seedValue(key Key, p *uint64) value {
	return value{key, "NUMBER", func() string {
		if *p == 0 {
			return ""
		}
		return strconv.FormatUint(*p, 10)
	}, func(text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s=%s: write a whole number below 2^64", key, clip(text))
		}
		*p = n
		return nil
	}}
}

// numberValue is a number from 0 to most, such as a share (most 1) or a rate.
func numberValue(key Key, p *float64, most float64) value {
	return value{key, "NUMBER", func() string {
		if *p == 0 {
			return ""
		}
		return strconv.FormatFloat(*p, 'g', -1, 64)
	}, func(text string) error {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || x < 0 || x > most {
			return fmt.Errorf("%s=%s: write a number from 0 to %g", key, clip(text), most)
		}
		*p = x + 0 // -0 is 0
		return nil
	}}
}

func timeValue(key Key, p *time.Duration, least, most time.Duration) value {
	return value{key, "TIME", func() string {
		if *p == 0 {
			return ""
		}
		return p.String()
	}, func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < least || d > most {
			return fmt.Errorf("%s=%s: write a duration from %v to %v, such as 1.5s or 20ms", key, clip(text), least, most)
		}
		*p = d
		return nil
	}}
}

// nameValue is a word of letters, digits and -_. that this package gives no meaning.
func nameValue(key Key, p *string) value {
	return value{key, "NAME", func() string { return *p }, func(text string) error {
		if !isName(text) {
			return fmt.Errorf("%s=%s: write a name of letters, digits and -_. (64 at most)", key, clip(text))
		}
		*p = text
		return nil
	}}
}

func isName(text string) bool {
	for _, r := range text {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// wordValue is one of a list of words.
func wordValue[S ~string](key Key, p *S, words []S) value {
	return value{key, joinWith(words, "|"), func() string { return string(*p) }, func(text string) error {
		if !slices.Contains(words, S(text)) {
			return fmt.Errorf("%s=%s: write one of %s", key, clip(text), join(words))
		}
		*p = S(text)
		return nil
	}}
}

func targetValue(key Key, p *Target) value {
	return value{key, "REPLICAS", func() string { return p.String() }, func(text string) error {
		t, err := parseTarget(text)
		if err != nil {
			return fmt.Errorf("%s=: %w", key, err)
		}
		*p = t
		return nil
	}}
}

func kindsValue(key Key, p *[]Kind) value {
	return value{key, "KIND,...", func() string { return joinWith(*p, ",") }, func(text string) error {
		kinds, err := parseKinds(text)
		if err != nil {
			return fmt.Errorf("%s=: %w", key, err)
		}
		*p = kinds
		return nil
	}}
}

func (d *Drawn) values() []value {
	return []value{numberValue("wild", &d.Wild, 1), kindsValue("kinds", &d.Kinds)}
}

func (t *Time) values() []value {
	return []value{timeValue("run", &t.Run, time.Millisecond, MaxTime), timeValue("quiet", &t.Quiet, 0, MaxTime),
		timeValue("window", &t.Window, 0, MaxTime)}
}

func (c *Cluster) values() []value {
	return []value{timeValue("election", &c.Election, time.Millisecond, time.Hour)}
}

func (o *Options) values() []value {
	return []value{
		nameValue("tracker", &o.Tracker), nameValue("opt", &o.Opt),
		intValue("workers", &o.Workers, 1, 1024), intValue("procs", &o.Procs, 1, 1024),
		intValue("checkpoint", &o.Checkpoint, 1, 1<<30), intValue("kept", &o.Kept, 2, 64), intValue("trailing", &o.Trailing, 1, 1<<30),
		intValue("messages", &o.Messages, 1, 65536), intValue("bytes", &o.Bytes, 1, 1<<27), intValue("inflight", &o.Inflight, 1, 64),
		intValue("append", &o.Append, 1, 1024),
	}
}

func (w *Workload) values() []value {
	return []value{
		nameValue("name", &w.Name), seedValue("seed", &w.Seed),
		intValue("clients", &w.Clients, 1, 10_000), intValue("operations", &w.Operations, 0, 1<<40),
		numberValue("rate", &w.Rate, 1e9), numberValue("queries", &w.Queries, 1), numberValue("stale", &w.Stale, 1),
		numberValue("duplicates", &w.Duplicates, 1),
	}
}

// values are all that a fault can have behind its kind, in the order of the text; specs say which ones a kind has.
func (f *Fault) values() []value {
	spec, _ := SpecOf(f.Kind)
	return []value{
		targetValue("nodes", &f.Nodes), targetValue("to", &f.To),
		wordValue("mode", &f.Mode, spec.Modes), wordValue("power", &f.Power, []Power{Kept, Lost, Torn}),
		wordValue("op", &f.Op, []Op{OpAppend, OpTruncate, OpVote, OpRead, OpCheckpoint, OpReplace}),
		numberValue("rate", &f.Rate, 1), timeValue("delay", &f.Delay, 0, time.Hour), timeValue("jitter", &f.Jitter, 0, time.Hour),
		timeValue("gap", &f.Gap, 0, time.Hour), timeValue("skew", &f.Skew, -MaxTime, MaxTime),
		intValue("bytes", &f.Bytes, 0, 1<<40), intValue("after", &f.After, 0, 1<<30),
		wordValue("until", &f.Until, []Until{Compacted, Diverged}), intValue("shift", &f.Shift, 0, MaxReplicas),
	}
}
