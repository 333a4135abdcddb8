package fsm

import (
	"fmt"
	"os"
	"testing"
)

// sharedCache holds compiled modules for all tests of a run.
var sharedCache string

var memoryMethods = []string{"sequential", "backward", "random", "sparse", "clustered", "rewrite", "straddle", "fill", "copy", "grow", "read"}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lockstep-fsm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedCache = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
