// Command cluster runs, drives and inspects clusters of replicated WebAssembly canisters.
//
// Each command is one file: a constructor newXCommand in the list of root.go, its flags, and what it prints. The work is
// done by the packages beneath.
package main

import (
	"context"
	"os"

	"lockstep/chaos/sim"
	"lockstep/chaos/sim/plant"
)

func main() {
	if sim.IsChild() { // one simulation of cluster chaos --sim
		sim.Serve(plant.Find)
	}
	os.Exit(execute(context.Background(), streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:]))
}
