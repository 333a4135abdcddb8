package node

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A leader is given up when raft has refused its rounds for longer than limit in one term, and took none in between.
func TestHandoverThatDoesNotEnd(t *testing.T) {
	refused := classify(raft.ErrLeadershipTransferInProgress)
	type round struct {
		after time.Duration // the one before
		term  uint64
		err   error
	}
	for _, test := range []struct {
		name   string
		rounds []round
		stops  bool
	}{
		{"refused at the limit", []round{{0, 2, refused}, {time.Second, 2, refused}, {time.Second, 2, refused}}, false},
		{"refused beyond the limit", []round{{0, 2, refused}, {time.Second, 2, refused}, {time.Second + 1, 2, refused}}, true},
		{"a round in between", []round{{0, 2, refused}, {time.Second, 2, nil}, {time.Second, 2, refused}, {time.Second, 2, refused}}, false},
		{"another error in between", []round{{0, 2, refused}, {time.Second, 2, classify(raft.ErrNotLeader)}, {5 * time.Second, 2, refused}}, false},
		{"terms apart", []round{{0, 2, refused}, {9 * time.Second, 4, refused}, {2 * time.Second, 4, refused}}, false},
		{"in a later term", []round{{0, 2, refused}, {9 * time.Second, 4, refused}, {3 * time.Second, 4, refused}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got reasons
			now, term := time.Unix(1e9, 0), uint64(0)
			h := &handover{limit: 2 * time.Second, term: func() uint64 { return term }, now: func() time.Time { return now }, stop: got.stop}
			for _, r := range test.rounds {
				now, term = now.Add(r.after), r.term
				h.ended(r.err)
			}
			if len(got.all) > 1 || (len(got.all) == 1) != test.stops {
				t.Fatalf("stopped with %v", got.all)
			}
			var stuck *handoverError
			if test.stops && (!errors.As(got.all[0], &stuck) || stuck.term != term) {
				t.Errorf("reason %v", got.all[0])
			}
		})
	}
}

// A leader that cannot hand on starts its replica again, with all it has, and the cluster goes on.
func TestLeaderThatCannotHandOnStartsAgain(t *testing.T) {
	for _, n := range []int{1, 3} {
		c, client := startCounting(t, n, 5, nil)
		leader := c.nodes[c.leader()]
		leader.current().stop(&handoverError{lasted: time.Second})
		c.eventually("the replica runs again", func() bool {
			s := leader.Status()
			return s.State == StateRunning && s.Restarts == 1
		})
		if s := leader.Status(); s.SetAside != "" {
			t.Errorf("set aside: %s", s.SetAside)
		}
		c.add(client, "counter", 3)
		if r, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(r) != 8 {
			t.Errorf("%d replicas: count %d, want 8; %v", n, count(r), err)
		}
		c.agree()
	}
}
