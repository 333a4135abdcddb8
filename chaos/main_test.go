package chaos

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// fakeReplicaFlag makes this test binary behave as a replica's process would.
const fakeReplicaFlag = "--fake-replica="

// realReplicaFlag makes it run a replica, with or without a planted bug.
const realReplicaFlag = "--real-replica="

// fakeParentFlag makes it run a cluster of such replicas in the folder that follows.
const fakeParentFlag = "--fake-parent="

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], fakeReplicaFlag) {
		os.Exit(fakeReplica(strings.TrimPrefix(os.Args[1], fakeReplicaFlag), os.Args[2:]))
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], realReplicaFlag) {
		os.Exit(realReplica(strings.TrimPrefix(os.Args[1], realReplicaFlag), os.Args[2:]))
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], fakeParentFlag) {
		os.Exit(fakeParent(strings.TrimPrefix(os.Args[1], fakeParentFlag), os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

// fakeReplica is a process that ends as its mode says. Its flags are those of nodeFlags.
func fakeReplica(mode string, flags []string) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	fmt.Println("fake replica", mode, strings.Join(flags, " "))
	switch mode {
	case "diverge":
		fmt.Fprintln(os.Stderr, "error: diverged at round 7")
		return ExitDiverged
	case "busy":
		fmt.Fprintf(os.Stderr, "error: listen on 127.0.0.1:1: %v\n", syscall.EADDRINUSE)
		return ExitUnusable
	case "panic":
		panic("planted")
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		ready(flags)
		select {}
	}
	ready(flags)
	untilEnded(terminated)
	fmt.Println("stopped")
	return ExitStopped
}

// untilEnded waits for the signal, or the end of the parent.
func untilEnded(terminated <-chan os.Signal) {
	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-terminated:
	case <-closed:
	}
}

// fakeParent runs a cluster until it is killed. It prints the process ids of the replicas when all have left their mark.
func fakeParent(mode, dir string) int {
	program, err := os.Executable()
	if err != nil {
		return 1
	}
	c, err := StartCluster(ClusterConfig{
		Program: program, Args: []string{"replica", fakeReplicaFlag + mode}, Dir: dir, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	err = c.WaitReady(context.Background(), func() bool {
		marks, err := filepath.Glob(filepath.Join(dir, "n*", "ready"))
		return err == nil && len(marks) == len(c.Members())
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.Process(0).PID, c.Process(1).PID, c.Process(2).PID)
	select {}
}

// ready leaves a mark in the replica's data folder.
func ready(flags []string) {
	for i, f := range flags {
		if f == "--data" {
			os.MkdirAll(flags[i+1], 0o755)
			os.WriteFile(filepath.Join(flags[i+1], "ready"), nil, 0o644)
		}
	}
}
