// Package testdata carries the canisters and workloads that come with Lockstep inside the binary, so that the commands and the
// tests need no files beside it.
//
// The canisters' sources are in canister/NAME. Those in C are built by canister/build.sh, which also writes canister/MANIFEST;
// those in WebAssembly text are embedded as they are. The one in Go (canister/notes) is built on demand and not embedded.
package testdata

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// FS holds canister/NAME/NAME.wasm or .wat, and workload/NAME.jsonl.
//
//go:embed canister/bank/bank.wasm canister/kv/kv.wasm canister/memory/memory.wasm
//go:embed canister/counter/counter.wat canister/faulty/faulty.wat
//go:embed workload/*.jsonl
var FS embed.FS

// Canister returns the module of an embedded canister, and its file in FS, whose ending says whether the module is binary
// (.wasm) or text (.wat). A name with a "-" is another canister of the module in front of it: kv-2 is a kv. The error for an unknown name lists the names there are.
func Canister(name string) (module []byte, file string, err error) {
	kind, _, _ := strings.Cut(name, "-")
	for _, ending := range []string{".wasm", ".wat"} {
		file = path.Join("canister", kind, kind+ending)
		if module, err = FS.ReadFile(file); err == nil {
			return module, file, nil
		}
	}
	return nil, "", fmt.Errorf("no canister %q comes with Lockstep; there are %s", name, strings.Join(Canisters(), ", "))
}

// Canisters lists the names of the embedded canisters in order.
func Canisters() []string { return names("canister") }

// Workload returns the text of an embedded workload, by its name without the ending.
func Workload(name string) ([]byte, error) {
	text, err := FS.ReadFile(path.Join("workload", name+".jsonl"))
	if err != nil {
		return nil, fmt.Errorf("no workload %q comes with Lockstep; there are %s", name, strings.Join(Workloads(), ", "))
	}
	return text, nil
}

// Workloads lists the names of the embedded workloads in order.
func Workloads() []string { return names("workload") }

func names(folder string) []string {
	entries, err := FS.ReadDir(folder)
	if err != nil {
		panic(fmt.Sprintf("testdata: embedded folder %s: %v", folder, err))
	}
	var found []string
	for _, entry := range entries {
		found = append(found, strings.TrimSuffix(entry.Name(), ".jsonl"))
	}
	slices.Sort(found)
	return found
}
