package chaos

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually waits until a condition holds, and fails the test if it does not within a generous time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func fakeCluster(t *testing.T, mode, dir string) *Cluster {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := StartCluster(ClusterConfig{
		Program: program, Args: []string{"replica", fakeReplicaFlag + mode},
		Nodes: 3, Dir: dir, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func waitMarks(t *testing.T, c *Cluster) {
	t.Helper()
	err := c.WaitReady(t.Context(), func() bool {
		for _, m := range c.Members() {
			if _, err := os.Stat(filepath.Join(c.Path(), m.ID, "ready")); err != nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func processAlive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestClusterRestartsWhatWasKilled(t *testing.T) {
	c := fakeCluster(t, "serve", "")
	waitMarks(t, c)
	before := c.Process(1)
	if err := c.Signal(1, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n2 runs again", func() bool {
		s := c.Process(1)
		return s.State == ProcessRunning && s.PID != before.PID
	})
	if s := c.Process(1); s.Restarts() != 1 || !strings.Contains(s.Exit, "killed") {
		t.Errorf("after a kill: %+v, want one restart and the signal", s)
	}
	if s := c.Process(0); s.Restarts() != 0 {
		t.Errorf("n1 was not killed: %+v", s)
	}
	stopAndCheck(t, c)
}

// stopAndCheck stops a cluster and sees that nothing of it stays behind.
func stopAndCheck(t *testing.T, c *Cluster) {
	t.Helper()
	var pids []int
	for i := range c.Members() {
		if pid := c.Process(i).PID; pid != 0 {
			pids = append(pids, pid)
		}
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range c.Members() {
		if s := c.Process(i); s.State != ProcessStopped || s.PID != 0 {
			t.Errorf("after Stop: %+v", s)
		}
	}
	for _, pid := range pids {
		if processAlive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Path()); c.Temporary() && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestClusterKillsWhatDoesNotStop(t *testing.T) {
	c := fakeCluster(t, "deaf", "")
	waitMarks(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if s := c.Process(2); s.State != ProcessStopped || !strings.Contains(s.Exit, "killed") {
		t.Errorf("got %+v", s)
	}
}

func TestClusterDoesNotRestartWhatFailed(t *testing.T) {
	for mode, want := range map[string]ProcessStatus{
		"diverge": {State: ProcessDiverged, Starts: 1, Exit: "diverged at round 7"},
		"panic":   {State: ProcessFailed, Starts: 1, Exit: "panic: planted"},
		"busy":    {State: ProcessUnusable, Starts: 1 + busyTries, Exit: "listen on 127.0.0.1:1: address already in use"},
	} {
		t.Run(mode, func(t *testing.T) {
			c := fakeCluster(t, mode, "")
			eventually(t, "all have ended", func() bool {
				return c.Process(0).Final() && c.Process(1).Final() && c.Process(2).Final()
			})
			got := c.Process(0)
			if got.State != want.State || got.Starts != want.Starts || !strings.HasPrefix(got.Exit, want.Exit) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			err := c.WaitReady(t.Context(), func() bool { return false })
			if err == nil || !strings.Contains(err.Error(), want.Exit) || errors.Is(err, ErrPortInUse) != (mode == "busy") {
				t.Errorf("WaitReady says %v", err)
			}
		})
	}
}

// TestReplicasEndWithTheirParent kills a process that runs a cluster. Its replicas must go too, even those that look
// neither at their standard input nor at polite signals.
func TestReplicasEndWithTheirParent(t *testing.T) {
	for _, mode := range []string{"serve", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			parent := exec.Command(program, fakeParentFlag+mode, t.TempDir())
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pids := strings.Fields(line)
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			parent.Wait()
			if len(pids) != 3 {
				t.Fatalf("the parent printed %q, want three process ids", line)
			}
			eventually(t, "no replica is left", func() bool {
				return !slices.ContainsFunc(pids, func(pid string) bool {
					n, err := strconv.Atoi(pid)
					return err != nil || processAlive(n)
				})
			})
		})
	}
}

func TestClusterContinuesItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := fakeCluster(t, "serve", dir)
	id, members := c.ID(), c.Members()
	if _, err := StartCluster(ClusterConfig{Dir: dir, Log: slog.New(slog.DiscardHandler)}); err == nil ||
		!errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a folder in use gives %v", err)
	}
	stopAndCheck(t, c)

	c = fakeCluster(t, "serve", dir)
	if c.ID() != id || len(c.Members()) != 3 || c.Members()[2] != members[2] {
		t.Errorf("continued as %s %v, was %s %v", c.ID(), c.Members(), id, members)
	}
	stopAndCheck(t, c)
}
