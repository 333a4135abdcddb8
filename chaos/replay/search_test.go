package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// writePages is a message that writes a few bytes into each of some pages of an area.
func writePages(area, at, pages int) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: "sequential",
		Arg: fmt.Appendf(nil, "area=%d at=%d pages=%d bytes=3 seed=%d", area, at, pages, at+1)}
}

// written is how many bytes this process has given to write calls of any kind, see proc_pid_io(5).
func written(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "wchar: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(line, 10, 64)
	if err != nil {
		t.Fatalf("/proc/self/io: %q: %v", text, err)
	}
	return n
}

// A search writes what changed, not the state: whatever it keeps builds on the checkpoint that it began from, whatever that
// one's folder is called, and on what it kept before.
func TestSearchWritesWhatChanged(t *testing.T) {
	const area = 10240 // pages, 40 MiB: more than the reference compares as a whole
	r := newRecording(t, raft.NewInmemStore())
	r.round(fsm.Message{Kind: fsm.KindInstall, Canister: "memory", Module: module(t, "memory")})
	r.round(writePages(area, 0, area))
	r.checkpoint()
	for i := range 6 { // rounds 4 to 9
		r.round(writePages(area, 1000*i, 2), writePages(area, 1000*i+100, 2), writePages(area, 1000*i+200, 2), writePages(area, 1000*i+300, 2))
	}
	c := r.config()
	c.From = filepath.Join(t.TempDir(), "named by somebody")
	if err := os.Rename(c.Checkpoints[0], c.From); err != nil {
		t.Fatal(err)
	}
	c.Checkpoints = nil
	r.checkpoint()
	const round, position = 7, 2
	wrong := func(t *testing.T, c Config) *Finding {
		t.Helper()
		before := written(t)
		f := r.replay(c).Finding
		if n := written(t) - before; n > area*4096/32 {
			t.Errorf("%d bytes were written for a search in a state of %d", n, area*4096)
		}
		if f == nil || f.Round != round || f.Since != round-1 || f.Cause == nil || f.Cause.Round != round || f.Cause.Position != position {
			t.Fatalf("finding %+v, cause %+v; want message %d of round %d", f, f.Cause, position, round)
		}
		if d := f.Difference; len(d.Canisters) != 1 || d.Canisters[0].Name != "memory" || d.Canisters[0].Pages == 0 {
			t.Errorf("difference %+v", f.Difference)
		}
		return f
	}
	t.Run("the machine is wrong", func(t *testing.T) {
		source := &source{cfg: &Config{Options: options()}}
		defer source.close()
		c := c
		c.Open = func() (Machine, error) {
			m, err := source.subject(start{})
			return &alteredMachine{Machine: m, round: round, position: position, instead: writePages(area, 5, 1)}, err
		}
		wrong(t, c)
	})
	t.Run("the log is wrong", func(t *testing.T) {
		const index = round + 1
		var entry raft.Log
		if err := r.log.GetLog(index, &entry); err != nil {
			t.Fatal(err)
		}
		altered, err := fsm.DecodeRound(entry.Data)
		if err != nil {
			t.Fatal(err)
		}
		altered.Messages[position] = writePages(area, 5, 1)
		if entry.Data, err = altered.Encode(); err == nil {
			err = r.log.StoreLog(&entry)
		}
		if err != nil {
			t.Fatal(err)
		}
		c := c
		c.Checkpoints = r.config().Checkpoints
		wrong(t, c)
	})
}
