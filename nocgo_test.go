package lockstep_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTheClusterNeedsNoCgo: the simulated cluster, and all that it stands on, is built where there is no C, and for a host of Wasm
// (docs/adr/0009). Without cgo it also runs, and so does the store of pages that it has there. Nothing is downloaded.
func TestTheClusterNeedsNoCgo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the cluster twice more")
	}
	nocgo := []string{"CGO_ENABLED=0"}
	wasip1 := []string{"CGO_ENABLED=0", "GOOS=wasip1", "GOARCH=wasm"}
	for _, c := range []struct {
		env  []string
		args string
	}{
		{nocgo, "vet ./chaos/sim/... ./node ./fsm ./memstore"},
		{wasip1, "vet ./chaos/sim ./fsm ./memstore"},
		{nocgo, "test -count=1 ./memstore"},
		{nocgo, "test -count=1 -run=WithoutAnEngine ./chaos/sim"},
	} {
		name := strings.Join(c.env[1:], " ") + " go " + c.args
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, "go", strings.Fields(c.args)...)
			command.Env = append(append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly"), c.env...)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v\n%s", strings.Join(c.env, " "), strings.Join(command.Args, " "), err, out)
			}
		})
	}
}
