package canister

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/memstore"
)

const guestDir = "../testdata/guest"

// guests are the modules in testdata/guest, each with its story. The README
// there says what they are and how they were built.
var guests = []struct{ module, story string }{
	{"life", "life"}, {"ledger", "ledger"}, {"index", "index"}, {"words", "words"}, {"formulas", "formulas"},
	{"counter-classic", "counter"}, {"store-classic", "store"}, {"heavy-classic", "heavy"},
	{"counter-enhanced", "counter"}, {"store-enhanced", "store"}, {"heavy-enhanced", "heavy"},
}

// A program that is not kept here, and its story.
var (
	givenGuest = flag.String("guest", "", "TestGuests/given: a module")
	givenStory = flag.String("story", "", "TestGuests/given: its story")
)

// TestGuests plays each guest's story on two replicas that differ in tracker,
// compiler and call path, and from the middle on a third one that was restored.
// Replies are those of the story, roots those that were recorded.
func TestGuests(t *testing.T) {
	if *givenGuest != "" {
		t.Run("given", func(t *testing.T) {
			wasm, err := os.ReadFile(*givenGuest)
			if err != nil {
				t.Fatal(err)
			}
			playStory(t, wasm, readStory(t, *givenStory))
		})
	}
	waiting := make(map[string]string)
	for _, g := range guests {
		t.Run(g.module, func(t *testing.T) {
			wasm, err := os.ReadFile(filepath.Join(guestDir, g.module+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			steps := readStory(t, filepath.Join(guestDir, "story", g.story+".story"))
			if reason := waitsFor(t, wasm, steps); reason != "" {
				waiting[g.module] = reason
				return
			}
			checkRecord(t, filepath.Join(guestDir, "story", g.module+".roots"), playStory(t, wasm, steps))
		})
	}
	checkWaiting(t, filepath.Join(guestDir, "waiting.txt"), waiting)
}

// playStory plays a story and gives the root after each step.
func playStory(t *testing.T, wasm []byte, steps []step) string {
	t.Helper()
	s := newStage(t, wasm, guestSetups()...)
	var roots strings.Builder
	for i, st := range steps {
		if i == len(steps)/2 {
			s.restore(guestSetup(2, memstore.TrackerNaive))
		}
		s.do(st)
		roots.WriteString(s.rigs[0].root().String() + "\n")
	}
	return roots.String()
}

func guestSetups() []setup {
	return []setup{guestSetup(0, memstore.TrackerCompare), guestSetup(1, memstore.TrackerPrefetch)}
}

func guestSetup(engine int, tracker memstore.Tracker) setup {
	s := allSetups()[engine]
	s.tracker = tracker
	s.limits.MemoryBytes, s.limits.Fuel, s.limits.InstallFuel = 1<<30, 4_000_000_000, 4_000_000_000
	return s
}

// readStory reads steps, one a line; empty lines and those with # are skipped.
func readStory(t *testing.T, path string) []step {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			steps = append(steps, parseStep(t, line))
		}
	}
	return steps
}

func checkRecord(t *testing.T, path, text string) {
	t.Helper()
	if *updateRecords && !t.Failed() {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(record) != text {
		t.Errorf("%s is not what the guest left behind: if the format of roots changed, run the test with -update\n%s", path, text)
	}
}

// TestGuestManifest compares the guests and their sources with the record of
// what was built from what.
func TestGuestManifest(t *testing.T) {
	manifest, err := os.Open(filepath.Join(guestDir, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	listed := make(map[string]bool)
	for lines := bufio.NewScanner(manifest); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if strings.HasPrefix(sum, "#") || !ok {
			continue
		}
		listed[filepath.Clean(name)] = true
		data, err := os.ReadFile(filepath.Join(guestDir, name))
		if err != nil {
			t.Error(err)
		} else if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not what the manifest says: run testdata/guest/build.sh", name)
		}
	}
	for _, g := range guests {
		if !listed[g.module+".wasm"] {
			t.Errorf("%s.wasm is not in the manifest", g.module)
		}
	}
}

// stage runs one module on several replicas, which must agree at every step.
type stage struct {
	t      testing.TB
	wasm   []byte
	setups []setup
	queue  // its rigs are nil until installed
}

func newStage(t testing.TB, wasm []byte, setups ...setup) *stage {
	return &stage{t: t, wasm: wasm, setups: setups, queue: queue{t: t}}
}

// stepKinds are the kinds of steps that this package can carry out.
var stepKinds = map[string]func(*stage, step) Outcome{
	"install":   nil, // by stage.install
	"reinstall": func(s *stage, st step) Outcome { return s.reinstall(s.wasm, st.arg) },
	"upgrade":   func(s *stage, st step) Outcome { return s.upgrade(s.wasm, st.arg, UpgradeOptions{}) },
	"update":    func(s *stage, st step) Outcome { return s.update(st.method, st.arg) },
	"composite": func(s *stage, st step) Outcome { return s.composite(st.method, st.arg) },
	"heartbeat": func(s *stage, st step) Outcome { return s.task(EntryHeartbeat) },
	"query": func(s *stage, st step) Outcome {
		return s.each(func(r *rig) Outcome {
			env := r.env()
			env.Version, env.Timer = s.version, s.timer
			out, err := r.Query(env, r.State(), Message{st.method, st.arg})
			if err != nil {
				s.queue.t.Fatal(err)
			}
			return out
		})
	},
	"inspect": func(s *stage, st step) Outcome {
		return s.execute([]byte("caller"), Input{Entry: EntryInspect, Method: st.method, Arg: st.arg})
	},
	"timer": func(s *stage, st step) Outcome {
		if r := s.rigs[0]; s.timer == 0 || s.timer > uint64(r.now()) {
			return Outcome{Status: statusIdle}
		}
		s.timer = 0
		return s.task(EntryTimer)
	},
}

const statusIdle Status = 200 // no timer was due

// do carries out a step on every replica and checks how it ends.
func (s *stage) do(st step) {
	s.t.Helper()
	if st.kind == "install" {
		s.install(st)
		return
	}
	if s.rigs == nil {
		s.t.Fatalf("%s: nothing is installed", st.text)
	}
	s.check(st, []Outcome{stepKinds[st.kind](s, st)})
}

// install makes the canister on every replica, unless it must fail.
func (s *stage) install(st step) {
	s.t.Helper()
	var outs []Outcome
	for _, setup := range s.setups {
		r := &rig{t: s.t, config: setup.config(s.t), original: s.wasm}
		p, err := Prepare(s.wasm, setup.limits)
		var m *Module
		if err == nil {
			m, err = r.config.Engine.Compile(p)
		}
		if text := refusal(err); text != "" {
			if st.want != "refused" || !strings.Contains(text, st.contains) {
				s.t.Fatalf("%s: refused: %s", st.text, text)
			}
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		can, out, err := Install(r.config, m, r.env(), st.arg)
		if err != nil {
			s.t.Fatal(err)
		}
		outs = append(outs, out)
		if out.Status == Replied {
			r.adopt(can)
			if s.rigs = append(s.rigs, r); len(s.rigs) == 1 {
				s.note(out)
			}
		}
	}
	if st.want == "refused" {
		if len(outs) > 0 {
			s.t.Errorf("%s: not refused", st.text)
		}
		return
	}
	s.check(st, outs)
}

// restore adds a replica that starts from the state of the first one.
func (s *stage) restore(with setup) {
	s.t.Helper()
	if s.rigs == nil {
		s.t.Fatal("nothing is installed")
	}
	s.rigs = append(s.rigs, s.rigs[0].replica(with, s.rigs[0].State()))
}

var endings = map[string]Status{
	"ok": Replied, "reply": Replied, "replied": Replied, "bytes": Replied, "reject": Rejected, "trap": Trapped,
	"none": NoReply, "missing": MethodNotFound, "accept": NoReply, "refuse": NoReply, "idle": statusIdle,
}

func (s *stage) check(st step, outs []Outcome) {
	s.t.Helper()
	out := outs[0]
	switch {
	case st.want == "ok" && (st.kind == "heartbeat" || st.kind == "timer"):
		if out.Status != NoReply {
			s.t.Errorf("%s: %v", st.text, out)
		}
	case st.kind == "inspect" && st.want != "trap" && out.Accepted != (st.want == "accept"):
		s.t.Errorf("%s: accepted is %v", st.text, out.Accepted)
	case out.Status != endings[st.want]:
		s.t.Errorf("%s: %v", st.text, out)
	case st.want == "reply" && !bytes.Equal(out.Reply, st.reply):
		s.t.Errorf("%s: replied %q", st.text, out.Reply)
	case st.want == "bytes" && len(out.Reply) != st.size:
		s.t.Errorf("%s: replied %d bytes", st.text, len(out.Reply))
	case st.want == "reject" && out.Text != st.contains, !strings.Contains(out.Text, st.contains):
		s.t.Errorf("%s: %v", st.text, out)
	}
	for i, other := range outs[1:] {
		if other.String() != out.String() || !bytes.Equal(other.Reply, out.Reply) {
			s.t.Errorf("%s: replica %d: %v, replica 0: %v", st.text, i+1, other, out)
		}
	}
}
