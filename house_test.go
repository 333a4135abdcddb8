package lockstep_test

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importPolicy says for each folder which folders of this module and which third parties its production code may import.
// A folder's subfolders follow its rule unless they have their own; a folder in a list stands for its subfolders too.
var importPolicy = []struct {
	folder  string
	local   []string
	foreign []string
}{
	{"pagetrie", nil, nil},
	{"figure", nil, nil},
	{"memstore", []string{"pagetrie"}, []string{"golang.org/x/sys"}},
	{"memstore/bench", []string{"figure", "pagetrie", "memstore"}, []string{"golang.org/x/sys", "github.com/bytecodealliance/wasmtime-go/v39"}},
	{"canister", []string{"pagetrie", "memstore"}, []string{"github.com/bytecodealliance/wasmtime-go/v39", "golang.org/x/sys"}},
	{"canister/program", nil, nil},
	{"canister/systemapi", []string{"canister/program"}, nil},
	{"canister/candid", []string{"canister/systemapi"}, nil},
	{"snapshot", []string{"pagetrie"}, []string{"github.com/hashicorp/raft", "golang.org/x/sys", "github.com/fxamacker/cbor/v2"}},
	{"fsm", []string{"pagetrie", "memstore", "canister", "snapshot"},
		[]string{"github.com/hashicorp/raft", "github.com/fxamacker/cbor/v2", "golang.org/x/sync"}},
	{"fsm/bench", []string{"figure", "pagetrie", "memstore", "canister", "snapshot", "fsm", "testdata"},
		[]string{"github.com/hashicorp/raft", "github.com/klauspost/compress", "golang.org/x/sys"}},
	{"node", []string{"pagetrie", "memstore", "canister", "snapshot", "fsm"},
		[]string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "github.com/hashicorp/go-hclog", "go.etcd.io/bbolt",
			"github.com/prometheus/client_golang", "golang.org/x/sys", "github.com/klauspost/compress"}},
	{"node/link", nil, []string{"github.com/hashicorp/raft"}},
	{"node/logfile", nil, nil},
	{"chaos", []string{"pagetrie", "memstore", "canister", "snapshot", "fsm", "node", "testdata"},
		[]string{"github.com/HdrHistogram/hdrhistogram-go", "github.com/anishathalye/porcupine", "github.com/hashicorp/raft", "github.com/hashicorp/go-hclog",
			"github.com/hashicorp/raft-boltdb/v2", "go.etcd.io/bbolt", "golang.org/x/sys"}},
	// reads a stopped replica's log as node wrote it, and the states that live ones hold
	{"chaos/replay", []string{"pagetrie", "memstore", "canister", "snapshot", "fsm", "node"},
		[]string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "go.etcd.io/bbolt"}},
	{"chaos/bench", []string{"figure", "pagetrie", "canister", "fsm", "chaos", "testdata"}, []string{"github.com/hashicorp/raft"}},
	{"chaos/workload", []string{"canister", "fsm", "testdata"}, nil},
	{"chaos/plan", []string{"pagetrie"}, nil},
	{"chaos/history", []string{"pagetrie"}, nil},
	{"chaos/check", []string{"pagetrie", "chaos/plan", "chaos/history"}, []string{"github.com/anishathalye/porcupine"}},
	{"cmd/cluster", []string{"pagetrie", "memstore", "canister", "snapshot", "fsm", "node", "chaos", "testdata"},
		[]string{"github.com/spf13/cobra", "golang.org/x/sys"}},
	{"testdata", nil, nil},
}

// longFiles are the production files over maxFileLines, each with its reason.
var longFiles = map[string]string{}

const maxFileLines = 500

// goFiles lists the module's Go files, by slash path from the root. Nested modules and guest programs are not part of it.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != "." && (nested == nil || strings.HasPrefix(path.Base(name), ".") ||
				name != "testdata" && strings.Contains("/"+name+"/", "/testdata/")) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

func imports(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestImportsFollowThePolicy(t *testing.T) {
	for _, name := range goFiles(t) {
		folder := path.Dir(name)
		if isTest(name) || folder == "." {
			continue
		}
		rule := slices.IndexFunc(importPolicy, func(p struct {
			folder  string
			local   []string
			foreign []string
		}) bool {
			return folder == p.folder
		})
		for parent := folder; rule < 0 && parent != "."; {
			parent = path.Dir(parent)
			for i := range importPolicy {
				if importPolicy[i].folder == parent {
					rule = i
				}
			}
		}
		if rule < 0 {
			t.Errorf("%s: folder %s is not in the import policy", name, folder)
			continue
		}
		for _, imported := range imports(t, name) {
			if local, ok := strings.CutPrefix(imported, "lockstep/"); ok {
				if !slices.ContainsFunc(append(importPolicy[rule].local, importPolicy[rule].folder), func(allowed string) bool {
					return local == allowed || strings.HasPrefix(local, allowed+"/")
				}) {
					t.Errorf("%s imports lockstep/%s: %s may only import %v", name, local, folder, importPolicy[rule].local)
				}
				continue
			}
			first, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(first, ".") {
				continue // standard library
			}
			if !slices.ContainsFunc(importPolicy[rule].foreign, func(p string) bool {
				return imported == p || strings.HasPrefix(imported, p+"/")
			}) {
				t.Errorf("%s imports %s, whose home is not %s", name, imported, folder)
			}
		}
	}
}

func TestCgoAndUnsafeStayInTheirFiles(t *testing.T) {
	for _, name := range goFiles(t) {
		folder, _, _ := strings.Cut(name, "/")
		home := folder == "memstore" || folder == "canister"
		base := strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test")
		for _, imported := range imports(t, name) {
			if imported == "C" && !(home && strings.HasSuffix(base, "_cgo")) {
				t.Errorf("%s uses cgo: only memstore/*_cgo.go and canister/*_cgo.go may", name)
			}
			if imported == "unsafe" && !(home && (strings.HasSuffix(base, "_cgo") || strings.HasSuffix(base, "_unsafe"))) {
				t.Errorf("%s imports unsafe: only memstore and canister may, in *_unsafe.go and *_cgo.go", name)
			}
		}
	}
}

func TestEveryPackageHasADocFile(t *testing.T) {
	for _, rule := range importPolicy {
		if rule.folder == "testdata" || strings.HasPrefix(rule.folder, "cmd/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(rule.folder, "doc.go")); err != nil {
			t.Errorf("%s has no doc.go: purpose, picture, invariants, sources", rule.folder)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, name := range goFiles(t) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			lines++
		}
		_ = file.Close()
		if lines > maxFileLines && !isTest(name) && longFiles[name] == "" {
			t.Errorf("%s has %d lines, over %d: split it, or give the reason in longFiles", name, lines, maxFileLines)
		}
	}
}

func TestPackagesAreNamedAfterWhatTheyAre(t *testing.T) {
	banned := []string{"util", "utils", "common", "types", "helpers", "misc", "base"}
	for _, name := range goFiles(t) {
		if folder := path.Base(path.Dir(name)); slices.Contains(banned, folder) {
			t.Errorf("%s: a package named %q says nothing", name, folder)
		}
	}
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	for _, name := range goFiles(t) {
		if name == "house_test.go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, marker := range []string{"TODO", "FIXME", "XXX", "not implemented"} {
			if strings.Contains(string(text), marker) {
				t.Errorf("%s contains %q", name, marker)
			}
		}
	}
}
