package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"lockstep/chaos/sim"
)

func TestMain(m *testing.M) {
	if sim.IsChild() {
		main()
	}
	testscript.Main(m, map[string]func(){"cluster": main})
}

// TestScripts runs testdata/script: the command as people use it.
func TestScripts(t *testing.T) {
	kv, err := filepath.Abs(filepath.Join("..", "..", "testdata", "canister", "kv", "kv.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Setup: func(env *testscript.Env) error {
			env.Setenv("KV", kv)
			return nil
		},
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": scriptExits, "await": scriptAwait, "killreplica": scriptKillReplica, "nothingleft": scriptNothingLeft,
			"freeports": scriptFreePorts, "busyport": scriptBusyPort, "capture": scriptCapture,
		},
		RequireExplicitExec: true,
	})
}

// patience bounds every wait; no test says how long something takes.
const patience = 3 * time.Minute

// until waits for a condition; the script fails if it never comes.
func until(ts *testscript.TestScript, what string, holds func() bool) {
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("still not: %s", what)
		}
	}
}

// scriptExits is "exits CODE PROGRAM ARGS…": the program must end with the code.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// scriptAwait is "await FILE PATTERN": waits until the file matches.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern := regexp.MustCompile(args[1])
	until(ts, fmt.Sprintf("%s matches %s", args[0], pattern), func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && pattern.Match(text)
	})
}

// runEvent is what the scripts read of the lines of `cluster run --json`.
type runEvent struct {
	Event    string `json:"event"`
	Replicas []struct {
		ID, Name string
		HTTP     string `json:"http"`
		PID      int    `json:"pid"`
		Round    uint64 `json:"round"`
	} `json:"replicas"`
}

// lastEvent is the newest complete line of a kind.
func lastEvent(ts *testscript.TestScript, file, kind string) (found runEvent, ok bool) {
	text, err := os.ReadFile(ts.MkAbs(file))
	ts.Check(err)
	for line := range bytes.Lines(text) {
		var e runEvent
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &e) == nil && e.Event == kind {
			found, ok = e, true
		}
	}
	return found, ok
}

// scriptKillReplica is "killreplica FILE NAME": kills a replica with SIGKILL by the process id in the progress that a run
// prints to the file, and waits until the run shows it at work again, in another process and in a later round.
func scriptKillReplica(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: killreplica FILE NAME")
	}
	now := func() (pid int, round uint64) {
		e, _ := lastEvent(ts, args[0], "progress")
		for _, r := range e.Replicas {
			if r.Name == args[1] {
				return r.PID, r.Round
			}
		}
		return 0, 0
	}
	until(ts, args[1]+" has a process", func() bool { pid, _ := now(); return pid != 0 })
	killed, before := now()
	ts.Check(syscall.Kill(killed, syscall.SIGKILL))
	until(ts, args[1]+" is at work again", func() bool {
		pid, round := now()
		return pid != 0 && pid != killed && round > before
	})
}

// scriptNothingLeft is "nothingleft": no process of the script and no temporary folder may be there.
func scriptNothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	work := ts.Getenv("WORK")
	until(ts, "no process has a folder of the script in its command line", func() bool { return len(processesWith(work)) == 0 })
	folders, err := filepath.Glob(filepath.Join(ts.Getenv("TMPDIR"), "lockstep-*"))
	ts.Check(err)
	if len(folders) > 0 {
		ts.Fatalf("left behind: %v", folders)
	}
}

// processesWith lists the processes that have a text in their command line.
func processesWith(text string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), text) {
			found = append(found, file)
		}
	}
	return found
}

// scriptFreePorts is "freeports NAME…": sets each variable to a loopback address on which nobody listens.
func scriptFreePorts(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		ts.Setenv(name, l.Addr().String())
	}
}

// scriptBusyPort is "busyport NAME": sets a variable to an address on which somebody listens until the script ends.
func scriptBusyPort(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// scriptCapture is "capture FILE": waits for the first line of a run and sets N1, N2, … to the replicas' client ports.
func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	until(ts, args[0]+" has a first line", func() bool {
		if _, err := os.Stat(ts.MkAbs(args[0])); err != nil {
			return false
		}
		_, ok := lastEvent(ts, args[0], "start")
		return ok
	})
	e, _ := lastEvent(ts, args[0], "start")
	for i, r := range e.Replicas {
		ts.Setenv(fmt.Sprintf("N%d", i+1), r.HTTP)
	}
}
