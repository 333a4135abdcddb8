package workload

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/testdata"
)

const canisterFolder = "../../testdata/canister"

// readCanisterManifest returns the hashes of testdata/canister/MANIFEST by file, and the compiler it names.
func readCanisterManifest(t *testing.T) (hashes map[string]string, compiler string) {
	t.Helper()
	file, err := os.Open(filepath.Join(canisterFolder, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hashes = map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "# compiler: "); ok {
			compiler = name
		}
		if hash, name, ok := strings.Cut(lines.Text(), "  "); ok && !strings.HasPrefix(hash, "#") {
			hashes[name] = hash
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return hashes, compiler
}

// A source changed without building, or a module changed without its source, is noticed here without a compiler.
func TestCanistersMatchTheManifest(t *testing.T) {
	hashes, _ := readCanisterManifest(t)
	var files []string
	for _, pattern := range []string{"build.sh", "include/*", "bank/*", "kv/*", "memory/*"} {
		found, err := filepath.Glob(filepath.Join(canisterFolder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) != len(hashes) {
		t.Errorf("the manifest has %d files, the folder %d", len(hashes), len(files))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(canisterFolder, file)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(content)
		if hex.EncodeToString(hash[:]) != hashes[filepath.ToSlash(name)] {
			t.Errorf("%s is not what the manifest says: run testdata/canister/build.sh", name)
		}
	}
}

func TestCanistersBuildAgain(t *testing.T) {
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	folder := t.TempDir()
	if out, err := exec.Command(filepath.Join(canisterFolder, "build.sh"), folder).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	_, compiler := readCanisterManifest(t)
	out, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if version, _, _ := strings.Cut(string(out), "\n"); version != compiler {
		t.Skipf("built with %q; only %q makes the same bytes", version, compiler)
	}
	for _, name := range []string{"bank", "kv", "memory"} {
		built, err := os.ReadFile(filepath.Join(folder, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if committed, _, err := testdata.Canister(name); err != nil || !bytes.Equal(built, committed) {
			t.Errorf("%s.wasm is not what its source makes: run testdata/canister/build.sh (%v)", name, err)
		}
	}
}

func TestEmbeddedNames(t *testing.T) {
	if got, want := testdata.Canisters(), []string{"bank", "counter", "faulty", "kv", "memory"}; !slices.Equal(got, want) {
		t.Errorf("canisters %v, want %v", got, want)
	}
	if got, want := testdata.Workloads(), []string{"bank", "demo", "fuel", "memory", "skewed", "small", "uniform", "zeroed"}; !slices.Equal(got, want) {
		t.Errorf("workloads %v, want %v", got, want)
	}
	_, _, err := testdata.Canister("kw")
	if want := `no canister "kw" comes with Lockstep; there are bank, counter, faulty, kv, memory`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err = testdata.Workload("demmo"); err == nil || !strings.Contains(err.Error(), "there are bank, demo, fuel, memory, skewed, small, uniform, zeroed") {
		t.Errorf("got %v", err)
	}
}
