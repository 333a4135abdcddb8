package sim

import "testing"

// A replica that is to be wiped stops first, which may take seconds: meanwhile the cluster can do without no other one, nor when it is
// back with nothing.
func TestOneReplicaIsSparedAtATime(t *testing.T) {
	c := &cluster{seams: &Seams{}}
	for n := 1; n <= 3; n++ {
		m := &member{c: c, number: n, device: newDevice(""), life: &life{}}
		m.device.joining = false
		c.members = append(c.members, m)
	}
	release, ok := c.spare(2, nil, c.whole)
	if !ok {
		t.Fatal("the cluster cannot do without one of three")
	}
	may := func(what string, want bool) {
		t.Helper()
		if release, ok := c.spare(1, nil, c.whole); ok != want {
			t.Errorf("%s: replica 1 may be wiped: %v", what, ok)
		} else if ok {
			release()
		}
		if release, ok := c.othersJoined(1, nil); ok != want {
			t.Errorf("%s: replica 1 may be taken out: %v", what, ok)
		} else if ok {
			release()
		}
	}
	may("replica 2 stops", false)
	again, ok := c.spare(2, nil, c.whole)
	if !ok {
		t.Fatal("no second fault may take what a replica is about to lose")
	}
	again()
	may("replica 2 stops, and a second fault is over", false)
	c.members[1].device.wipe()
	release()
	may("replica 2 is back with nothing", false)
	c.members[1].device.joining = false
	may("replica 2 has joined", true)
}
