// Package spec_test plays the WebAssembly specification's own test suite on
// modules before and after preparation, side by side: results, traps, memory
// and globals must be equal and be those that the suite expects.
//
// The suite is not kept here. It is part of the Go module wazero (Apache-2.0,
// like the suite), which the test asks the go command for, pinned by version
// and sum. There it lies as wast2json wrote it.
package spec_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

const (
	suiteModule = "github.com/tetratelabs/wazero@v1.12.0"
	suiteSum    = "h1:DuWcpNu/FzgEXgGBDp8J1Spc+CWOvvtvVyjKlaZopYU="
	suiteFolder = "internal/integration_test/spectest"
)

// suites are the parts of the suite that a canister's features cover: all of
// WebAssembly 2.0, and two later additions.
var suites = []string{"v2", "extended-const", "tail-call"}

var update = flag.Bool("update", false, "write the record of refused modules and differences again")

// suiteDir is where the go command keeps the suite.
func suiteDir(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", suiteModule)
	cmd.Dir = t.TempDir() // outside of this module, whose requirements it is none of
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &module); err != nil || jsonErr != nil {
		reason := fmt.Sprintf("the test suite cannot be had: %v %v %s", err, jsonErr, module.Error)
		if os.Getenv("CI") != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	if module.Sum != suiteSum {
		t.Fatalf("%s has the sum %s, not %s", suiteModule, module.Sum, suiteSum)
	}
	return filepath.Join(module.Dir, suiteFolder)
}

// tally counts what became of one suite.
type tally struct {
	modules, assertions int
	invalid             int            // modules that must be refused, and were
	outdated            int            // modules that the suite calls invalid and the engine, a newer one, valid
	tolerated           int            // invalid modules that are valid after preparation, with a reason
	skipped             int            // commands
	refused             map[string]int // valid modules, by reason
	different           []string       // assertions, with the documented reason
}

func TestPreparedModulesPassTheSuite(t *testing.T) {
	dir := suiteDir(t)
	engine := newEngine()
	defer engine.Close()
	var record strings.Builder
	for _, suite := range suites {
		scripts, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
		if err != nil || len(scripts) == 0 {
			t.Fatalf("%s has no scripts: %v", suite, err)
		}
		sum := &tally{refused: make(map[string]int)}
		for _, path := range scripts {
			t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
				play(t, engine, path, sum)
			})
		}
		fmt.Fprintf(&record, "%s: %d modules prepared, %d assertions equal, %d invalid modules refused, %d are valid by now, %d mended, %d commands skipped\n",
			suite, sum.modules, sum.assertions, sum.invalid, sum.outdated, sum.tolerated, sum.skipped)
		for _, reason := range slices.Sorted(maps.Keys(sum.refused)) {
			fmt.Fprintf(&record, "  refused %4d: %s\n", sum.refused[reason], reason)
		}
		for _, line := range sum.different {
			fmt.Fprintf(&record, "  differs: %s\n", line)
		}
	}
	checkRecord(t, record.String())
}

func checkRecord(t *testing.T, now string) {
	t.Helper()
	const path = "record.txt"
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != now {
		t.Errorf("%s differs from what happened now; if that is meant, run the test with -update\n%s", path, now)
	}
}

// command is a line of a script.
type command struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	ModuleType string `json:"module_type"`
	Text       string
	Action     action
	Expected   []value
}

type action struct {
	Type, Module, Field string
	Args                []value
}

// value is a constant: a number in decimal, as bits, or the lanes of a vector.
type value struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    json.RawMessage
}

// play runs one script.
func play(t *testing.T, engine *wasmtime.Engine, path string, sum *tally) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []command }
	if err := json.Unmarshal(text, &script); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, engine: engine, sum: sum, named: make(map[string]*pair), script: filepath.Base(path)}
	defer s.close()
	for _, c := range script.Commands {
		s.line = c.Line
		var wasm []byte
		if c.Filename != "" && c.ModuleType != "text" {
			if wasm, err = os.ReadFile(filepath.Join(filepath.Dir(path), c.Filename)); err != nil {
				t.Fatal(err)
			}
		}
		s.do(c, wasm)
	}
}

// do carries out one command.
func (s *stage) do(c command, wasm []byte) {
	switch c.Type {
	case "module":
		s.current = s.load(wasm, "")
		if c.Name != "" {
			s.named[c.Name] = s.current
		}
	case "assert_uninstantiable":
		s.load(wasm, c.Text)
	case "assert_invalid", "assert_malformed":
		if wasm == nil {
			s.sum.skipped++ // faults of the text format
			return
		}
		s.mustRefuse(c, wasm)
	case "action", "assert_return", "assert_trap", "assert_exhaustion":
		s.act(c)
	case "register":
		if s.current != nil {
			s.current.parted = true // the modules that would share its state are refused: a canister is one module
		}
		s.sum.skipped++
	case "assert_unlinkable":
		s.sum.skipped++
	default:
		s.t.Fatalf("line %d: command %q", c.Line, c.Type)
	}
}
