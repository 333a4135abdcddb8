package real_test

import (
	"os"
	"testing"

	"lockstep/chaos/real"
)

// asReplica is the argument by which this test program becomes a replica.
const asReplica = "be-a-replica"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asReplica {
		os.Exit(real.Serve(os.Args[2], os.Stdin, os.NewFile(3, "events"), os.Stderr))
	}
	if len(os.Args) == 3 && os.Args[1] == asLiar {
		os.Exit(serveLies(os.Args[2]))
	}
	os.Exit(m.Run())
}
