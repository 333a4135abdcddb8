package sim

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"lockstep/chaos/plan"
)

// TestGuest is what TestExact runs: it writes the history of a run, and then its verdict.
func TestGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Seams: withoutEngine(), Load: enginelessLoad(), History: os.Stdout}
		Run(context.Background(), plan.Generate(1, shape()), o, func(r Result, err error) {
			fmt.Println(r.Verdict.Sentence, err)
			os.Exit(0)
		})
	})
}
