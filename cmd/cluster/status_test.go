package main

import (
	"errors"
	"strings"
	"testing"

	"lockstep/node"
)

func running(id string, round uint64, root string) replicaStatus {
	return replicaStatus{Address: id + ":80", ID: id, Status: &node.StatusReport{
		Node: id, State: node.StateRunning, Role: "follower", Round: round, Root: strings.Repeat(root, 64),
	}}
}

func exitCode(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitGood
}

func TestStatusSaysWhatIsWrong(t *testing.T) {
	leader := running("n1", 7, "a")
	leader.Status.Role = "leader"
	diverged := running("n2", 5, "b")
	diverged.Status.State, diverged.Status.Role, diverged.Status.DataDir = node.StateDiverged, "stopped", "/data/n2"
	diverged.Status.Divergence = &node.DivergenceReport{Round: 4, Own: "bbbb", Attested: "aaaa"}
	failed := running("n3", 6, "c")
	failed.Status.State, failed.Status.Reason = node.StateFailed, "disk full"
	failing := running("n3", 7, "a")
	failing.Status.Checkpoints = node.CheckpointStatus{Round: 5, Failed: 4, Failure: "no space left"}
	aside := running("n3", 7, "a")
	receiving := running("n3", 7, "a")
	receiving.Status.Transfers = []node.TransferReport{{Direction: "receiving", Peer: "n1", Index: 512, State: "running", Bytes: 3 << 20, Total: 12 << 20,
		Rate: 3 << 20, Remaining: 3}, {Direction: "receiving", Peer: "n1", Index: 400, State: "failed"}, {Direction: "sending", Peer: "n3", Index: 7, State: "running"}}
	aside.Status.SetAside = "/data/n3/set-aside/1: the log begins at index 9"
	joining := running("n2", 0, "b")
	joining.Status.Joining, joining.Status.JoiningFile = true, "/data/n2/joining"
	for _, c := range []struct {
		name string
		all  clusterStatus
		code int
		says []string
	}{
		{"well", clusterStatus{leader, running("n2", 5, "b"), running("n3", 7, "a")}, exitGood,
			[]string{"n2       n2:80    running  follower  0     5      2    bbbbbbbbbbbbbbbb  -           -"}},
		{"diverged", clusterStatus{leader, diverged}, exitBad,
			[]string{"n2       n2:80    diverged  stopped", "n2 HAS DIVERGED at round 4: its root is bbbb, the leader attests aaaa. It serves nothing; the evidence is in /data/n2."}},
		{"two roots", clusterStatus{leader, running("n2", 7, "d")}, exitBad, []string{"n1 and n2 DISAGREE after round 7"}},
		{"failed", clusterStatus{leader, failed}, exitUndecided, []string{"n3 is failed: disk full"}},
		{"silent", clusterStatus{leader, {Address: "n9:80", ID: "n9", Error: "refused"}}, exitUndecided,
			[]string{"n9       n9:80    no answer", "n9 at n9:80 does not answer: refused"}},
		{"nobody leads", clusterStatus{running("n2", 5, "b")}, exitGood, []string{"No replica that answers is the leader"}},
		{"checkpoints fail", clusterStatus{leader, failing}, exitGood,
			[]string{"5 (failing)", "n3 CANNOT TAKE CHECKPOINTS (4 failed), and its log grows until it can: no space left"}},
		{"log set aside", clusterStatus{leader, aside}, exitGood,
			[]string{"n3 could not use its log and its checkpoints", "kept in /data/n3/set-aside/1: the log begins at index 9"}},
		{"a checkpoint comes", clusterStatus{leader, receiving}, exitGood,
			[]string{"n3 is being sent the checkpoint at index 512 by n1: 3072 KiB of 12 MiB, 3072 KiB/s, about 3s to go."}},
		{"a majority lost its disks", clusterStatus{joining}, exitGood,
			[]string{"follower (joining)", "n2 joined with a new folder", "remove its file, and start it again: /data/n2/joining."}},
		{"nobody", nil, exitGood, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := c.all.print(&b, false); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.says {
				if !strings.Contains(b.String(), want) {
					t.Errorf("does not say %q:\n%s", want, b.String())
				}
			}
			if got := exitCode(c.all.judge()); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}

func TestShowBytes(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "hello\n\tyou": "hello\n\tyou", "größer": "größer", "\x00": "0x00", "\xff\xfe": "0xfffe", "a\x1b[31m": "0x611b5b33316d",
	} {
		if got := showBytes([]byte(in)); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestCheckLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "localhost:80": true, "[::1]:80": true, "127.9.9.9:1": true,
		"0.0.0.0:80": false, ":80": false, "[::]:80": false, "10.0.0.1:80": false, "example.org:80": false, "127.0.0.1": false, "": false,
	} {
		if got := checkLoopback(address, false) == nil; got != want {
			t.Errorf("%q is allowed: %v, want %v", address, got, want)
		}
	}
	if err := checkLoopback("0.0.0.0:80", true); err != nil {
		t.Errorf("with --expose: %v", err)
	}
}

func TestParsePeer(t *testing.T) {
	got, err := parsePeer("n2=a:1,b:2")
	if err != nil || got != (node.Peer{ID: "n2", Raft: "a:1", HTTP: "b:2"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "n2", "n2=a:1", "=a:1,b:2"} {
		if _, err := parsePeer(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestScreen(t *testing.T) {
	var b strings.Builder
	s := newScreen(&b)
	s.show([]string{"one", "two"})
	s.show([]string{"three"})
	if got, want := b.String(), "one  |  two\nthree\n"; got != want {
		t.Errorf("into a file: %q, want %q", got, want)
	}
	b.Reset()
	s.terminal = true
	s.show([]string{"one", "two"})
	b.Reset()
	s.show([]string{"three"})
	if got, want := b.String(), wrapOff+cursorUp+cursorUp+"\rthree"+clearLine+"\n\r"+clearLine+"\n"+wrapOn; got != want {
		t.Errorf("on a terminal: %q, want %q", got, want)
	}
	s.settle()
	b.Reset()
	s.show([]string{"four"})
	if strings.Contains(b.String(), cursorUp) {
		t.Errorf("after settle: %q goes up", b.String())
	}
}
