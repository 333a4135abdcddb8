package workload

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/fsm"
	"lockstep/testdata"
)

// Module is a program to install, checked and ready to be sent.
type Module struct {
	// Name is the canister's name.
	Name string
	// Wasm is the binary, as it is sent; Hash names it.
	Wasm []byte
	Hash canister.ModuleHash
	// Updates and Queries are the methods that it exports.
	Updates, Queries []string
	// Interface is its description in Candid; nil if it carries none. Arg is what it is installed with where nobody says: made-up
	// values in Candid of the types that its interface asks for, else nothing.
	Interface *candid.Description `json:"-"`
	Arg       []byte
}

// MaxModuleBytes bounds a module's file; the state machine has the same bound for the binary.
const MaxModuleBytes = fsm.MaxModuleBytes

// ParseModule checks a module, in binary or as WebAssembly text, as an installation would. What cannot be installed is
// refused here, before there is a cluster, with the same reason.
func ParseModule(name string, file []byte) (Module, error) {
	if err := fsm.ValidateCanisterName(name); err != nil {
		return Module{}, err
	}
	wasm := file
	if !bytes.HasPrefix(file, []byte("\x00asm")) {
		var err error
		if wasm, err = parseText(file); err != nil {
			return Module{}, err
		}
	}
	p, err := canister.Prepare(wasm, canister.DefaultLimits())
	if err != nil {
		return Module{}, err
	}
	m := Module{Name: name, Wasm: wasm, Hash: p.Hash, Updates: p.Updates, Queries: p.Queries}
	if did, found := p.Metadata("candid:service"); found {
		if d, err := candid.Parse(string(did)); err == nil { // one that can't be read is of no use, and no harm
			m.Describe(d)
		}
	}
	return m, nil
}

// Describe gives a module an interface, and makes up an argument by it to install the module with.
func (m *Module) Describe(d *candid.Description) {
	m.Interface, m.Arg = d, madeUp(d.Init, rand.New(rand.NewPCG(0, 0)))
}

// NotInstalled says why a cluster has not installed the module, and what can be done about it.
func (m *Module) NotInstalled(status fsm.Status, text string) error {
	if status == fsm.StatusRefused {
		return fmt.Errorf("install canister %s: refused: %s", m.Name, text)
	}
	arg := "an empty argument"
	if len(m.Arg) > 0 {
		arg = fmt.Sprintf("an argument of %d bytes", len(m.Arg))
	}
	return fmt.Errorf("install canister %s with %s: %s: %s; give the argument that it needs with --init", m.Name, arg, status, text)
}

// parseText turns WebAssembly text into a binary. A file that is neither is called so.
func parseText(file []byte) ([]byte, error) {
	switch {
	case len(bytes.TrimSpace(file)) == 0:
		return nil, errors.New("the file is empty")
	case bytes.IndexByte(file, 0) >= 0:
		return nil, fmt.Errorf("the file is neither a WebAssembly binary nor text: it begins with % x", file[:min(len(file), 8)])
	}
	wasm, err := canister.ParseWAT(file)
	if err != nil {
		return nil, textError(err)
	}
	return wasm, nil
}

// textError makes one sentence of what the parser prints on several lines, with an arrow to the place.
func textError(err error) error {
	lines := strings.Split(err.Error(), "\n")
	what := strings.TrimSpace(lines[0][strings.LastIndex(lines[0], ": ")+1:])
	for _, line := range lines[1:] {
		if _, place, found := strings.Cut(line, "--> "); found {
			if at := strings.Split(place, ":"); len(at) >= 3 {
				return fmt.Errorf("WebAssembly text, line %s, column %s: %s", at[len(at)-2], at[len(at)-1], what)
			}
		}
	}
	return fmt.Errorf("WebAssembly text: %s", what)
}

// ModuleName makes a canister's name of a file's name: "dir/My Game.wasm" is my-game.
func ModuleName(path string) string {
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name)
	return strings.TrimLeft(name, "-_.")
}

// CompleteModules adds the modules of the canisters that come with Lockstep to those given, so that every name has one,
// and gives them in the order of the names. The management canister has none. The names of given modules need not be listed.
func CompleteModules(given []Module, names []string) ([]Module, error) {
	modules := slices.Clone(given)
	for _, name := range names {
		if name == fsm.ManagementCanister || slices.ContainsFunc(modules, func(m Module) bool { return m.Name == name }) {
			continue
		}
		file, _, err := testdata.Canister(name)
		if err != nil {
			return nil, fmt.Errorf("%w: give the module of another one", err)
		}
		m, err := ParseModule(name, file)
		if err != nil {
			return nil, fmt.Errorf("canister %s: %w", name, err)
		}
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(modules); i++ {
		if modules[i].Name == modules[i-1].Name {
			return nil, fmt.Errorf("two modules are given for canister %s", modules[i].Name)
		}
	}
	return modules, nil
}
