package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// The chief test: one log of rounds, under random trackers, worker counts, optimisation levels, checkpoint intervals and
// restarts, gives one sequence of roots.

// randomLog makes a log that uses everything that rounds can hold: installations, sessions, duplicates, stale messages,
// traps, growth, rejects, bulk writes, calls between canisters, timers, heartbeats, upgrades, stops and mistakes.
func randomLog(t testing.TB, seed uint64, rounds int) []*Round {
	random := rand.New(rand.NewPCG(seed, 1))
	log := []*Round{
		{Time: 100, Messages: []Message{install(t, "kv"), {Kind: KindOpenSession}, install(t, "faulty")}},
		{Time: 90, Messages: []Message{install(t, "memory"), {Kind: KindOpenSession}, install(t, "counter")}},
		{Time: 95, Messages: []Message{install2(t, KindInstall, "p", ""), install2(t, KindInstall, "q", heartbeat)}},
	}
	sequences := map[SessionID]uint64{}
	for n := range rounds {
		round := &Round{Time: int64(200 + 10*n - random.IntN(30))}
		for range random.IntN(12) {
			msg := randomMessage(random)
			switch random.IntN(6) {
			case 0, 1:
				msg = run([]string{"p", "q"}[random.IntN(2)], randomScript(random, 3, int64(200+10*n)))
			case 2:
				if random.IntN(2) == 0 {
					msg = randomChange(t, random)
				}
			}
			if id := SessionID(random.IntN(4)); id > 0 {
				sequences[id] += uint64(max(0, random.IntN(4)-1))
				msg.Session, msg.Sequence = id, 1+sequences[id]-uint64(random.IntN(2))*min(1, sequences[id])
			}
			round.Messages = append(round.Messages, msg)
		}
		if random.IntN(10) == 0 {
			round.Messages = append(round.Messages, Message{Kind: KindOpenSession})
		}
		log = append(log, round)
	}
	return log
}

// randomScript is what a puppet of the log does: "p" and "q" have numbers from 5 on, one more whenever one is created again.
func randomScript(random *rand.Rand, depth int, now int64) script {
	var s script
	for range 1 + random.IntN(3) {
		inner := func() script {
			if depth == 0 || random.IntN(3) == 0 {
				return script([]script{"", count, replyCount, trap, replyCode, replyArg, reject("no"), replyVersion}[random.IntN(8)])
			}
			return randomScript(random, depth-1, now)
		}
		switch random.IntN(8) {
		case 0:
			s += count
		case 1:
			s += reply("x")
		case 2:
			s += timer(now + int64(random.IntN(60)))
		case 3:
			s += call{to: 0, method: []string{"raw_rand", "canister_status"}[random.IntN(2)], onReply: inner(), onReject: inner()}.script()
		case 4:
			s += call{to: 1, method: "add", arg: "n=1", onReply: replyArg, onReject: inner(), clean: inner()}.script()
		default:
			s += call{to: CanisterID(5 + random.IntN(4)), arg: inner(), onReply: inner(), onReject: inner(), clean: inner()}.script()
		}
	}
	return s
}

func randomChange(t testing.TB, random *rand.Rand) Message {
	name := []string{"p", "q"}[random.IntN(2)]
	more := []string{"", heartbeat}[random.IntN(2)]
	kinds := []Kind{KindInstall, KindInstall, KindUpgrade, KindReinstall, KindStop, KindStop, KindStart, KindDelete, KindDelete}
	switch kind := kinds[random.IntN(len(kinds))]; kind {
	case KindInstall, KindUpgrade, KindReinstall:
		return install2(t, kind, name, more)
	default:
		return change(kind, name)
	}
}

func randomMessage(random *rand.Rand) Message {
	pick := func(names ...string) string { return names[random.IntN(len(names))] }
	switch random.IntN(10) {
	case 0, 1, 2, 3:
		return update("kv", pick("put", "append", "add", "delete"), fmt.Sprintf("k%d=%d", random.IntN(40), random.IntN(1000)))
	case 4:
		return update("kv", "load", fmt.Sprintf("count=%d bytes=%d seed=%d", random.IntN(60), random.IntN(3000), random.IntN(9)))
	case 5, 6:
		return update("faulty", pick("touch", "trap", "bounds", "reject", "nan", "grow_then_trap", "write_all_then_trap",
			"global_then_trap", "recurse", "recurse_some", "no_reply", "double_reply"), "")
	case 7, 8:
		return update("memory", pick(memoryMethods...), fmt.Sprintf("pages=%d seed=%d", 1+random.IntN(200), random.IntN(1000)))
	default:
		return update(pick("counter", "kv", "nowhere"), pick("increment", "count", "missing"), "")
	}
}

// settings are what must not matter.
type settings struct {
	tracker memstore.Tracker
	level   canister.OptLevel
	workers int
	// restarts is the chance of a restart from a checkpoint after a round; replay the rounds it goes back.
	restarts float64
}

func (s settings) String() string {
	return fmt.Sprintf("tracker=%s/opt=%v/workers=%d/restarts=%.2f", s.tracker, s.level, s.workers, s.restarts)
}

// play applies the log and returns the root after every round; restarted replicas must repeat the roots they gave before.
func play(t *testing.T, log []*Round, s settings, seed uint64) []pagetrie.Hash {
	random := rand.New(rand.NewPCG(seed, 2))
	engine := newEngine(t, s.level, sharedCache)
	start := func() *replica { return newReplica(t, Config{Engine: engine, Tracker: s.tracker, Workers: s.workers}) }
	r := start()
	roots := make([]pagetrie.Hash, len(log))
	newest := uint64(0) // index of the newest checkpoint
	for i := 0; i < len(log); i++ {
		root := r.apply(log[i]).Root
		if roots[i] != (pagetrie.Hash{}) && roots[i] != root {
			t.Fatalf("%v, seed %d: after a restart round %d has root %s, before it had %s", s, seed, i+1, root, roots[i])
		}
		roots[i] = root
		if random.Float64() < s.restarts && r.index > newest {
			r.checkpoint()
			newest = r.index
		}
		if newest > 0 && random.Float64() < s.restarts {
			checkpoints := r.checkpoints
			r = start()
			r.checkpoints = checkpoints
			if err := r.Restore(r.openNewest()); err != nil {
				t.Fatalf("%v, seed %d: restore after round %d: %v", s, seed, i+1, err)
			}
			r.index = newest
			i = int(newest) - 1
		}
	}
	return roots
}

// What the default run plays.
const chiefLogs, chiefRounds = 2, 100

func TestOneLogGivesOneSequenceOfRoots(t *testing.T) {
	logs, rounds, variants := chiefLogs, chiefRounds, 8
	if testing.Short() {
		logs, rounds, variants = 1, 30, 3
	}
	for seed := range uint64(logs) {
		log := randomLog(t, seed, rounds)
		want := play(t, log, settings{tracker: "compare", workers: 1}, seed)
		random := rand.New(rand.NewPCG(seed, 3))
		trackers := memstore.Trackers()
		levels := []canister.OptLevel{canister.OptNone, canister.OptSpeed, canister.OptSpeedAndSize}
		for variant := range variants {
			s := settings{
				tracker:  trackers[variant%len(trackers)],
				level:    levels[random.IntN(len(levels))],
				workers:  1 + random.IntN(4),
				restarts: float64(random.IntN(3)) * 0.08,
			}
			t.Run(fmt.Sprintf("log=%d/%v", seed, s), func(t *testing.T) {
				got := play(t, log, s, uint64(variant))
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("round %d: root %s, want %s; messages %+v", i+1, got[i], want[i], log[i].Messages)
					}
				}
			})
		}
	}
}

// What the log is said to use must have happened in it.
func TestTheRandomLogUsesWhatItShould(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(chiefLogs) {
		r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
		for _, round := range randomLog(t, seed, chiefRounds) {
			applied := r.apply(round)
			for i, result := range applied.Results {
				seen[fmt.Sprint(round.Messages[i].Kind, " ", result.Status)]++
			}
			for _, c := range applied.Completed {
				seen[fmt.Sprint("completed ", c.Result.Status)]++
			}
			for _, c := range r.state.canisters {
				seen["queued"] += len(c.Queue)
				seen["outstanding"] += len(c.Calls)
			}
		}
	}
	t.Log(seen)
	for _, want := range []string{"update replied", "update rejected", "update no-reply", "update trapped", "update refused", "update pending",
		"update stale", "open-session replied", "install replied", "upgrade replied", "upgrade refused", "reinstall replied", "stop replied",
		"stop pending", "start replied", "delete replied", "delete refused", "completed replied", "completed no-reply", "completed trapped",
		"completed rejected", "queued", "outstanding"} {
		if seen[want] == 0 {
			t.Errorf("%s: never", want)
		}
	}
}
