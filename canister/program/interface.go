package program

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkImports refuses imports that the host does not have, all at once, each kind of advice in its place.
func (m *module) checkImports(cfg Config) error {
	unknown, wrong := map[string][]string{}, []string(nil)
	for _, imp := range m.imports {
		want, ok := cfg.Imports(imp.module, imp.name, m.wide())
		got := m.types[imp.typ]
		switch {
		case !ok:
			advice := ""
			if cfg.Advice != nil {
				advice = cfg.Advice(imp.module, imp.name, m.wide())
			}
			unknown[advice] = append(unknown[advice], imp.String())
		case !got.Equal(want):
			wrong = append(wrong, fmt.Sprintf("%s is %s, not %s", imp, want, got))
		}
	}
	var reasons []string
	for _, advice := range slices.Sorted(maps.Keys(unknown)) {
		reason := "unknown imports: " + list(unknown[advice])
		if advice != "" {
			reason += " (" + advice + ")"
		}
		reasons = append(reasons, reason)
	}
	if len(wrong) > 0 {
		reasons = append(reasons, "imports of a wrong type: "+list(wrong))
	}
	if reasons == nil {
		return nil
	}
	return refuse("import", "%s", strings.Join(reasons, "; "))
}

// String names the import for people.
func (i importedFunc) String() string { return shown(i.module) + "." + shown(i.name) }

// maxListed bounds the names of one list.
const maxListed = 50

// list joins names in order, once each.
func list(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxListed; more > 0 {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// maxShown and maxPrintable bound what a text for people has of the module's own, in bytes.
const (
	maxShown     = 200
	maxPrintable = 1000
)

// shown is a name of the module's for people: cut if it is long, and in quotes unless it is of printable signs without spaces
// and quotes.
func shown(name string) string {
	name, rest := cut(name, maxShown)
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == ' ' || r == '"' || r == '\\' || !strconv.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return name + rest
}

// quoted is a name of the module's in quotes, cut if it is long.
func quoted(name string) string {
	name, rest := cut(name, maxShown)
	return strconv.Quote(name) + rest
}

// Printable is a sentence that may hold names of the module's: cut if it is long, and its signs that cannot be printed escaped.
func Printable(text string) string {
	text, rest := cut(text, maxPrintable)
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		text = strconv.Quote(text)
	}
	return text + rest
}

// cut splits a text at most at a number of bytes; rest says how long it was, "" if it was whole.
func cut(text string, most int) (head, rest string) {
	if len(text) <= most {
		return text, ""
	}
	n := most
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n], fmt.Sprintf("… (%d bytes)", len(text))
}

// Prefixes of exported methods. A toolchain that cannot put a space into the
// name of an export writes an underscore.
var methodPrefixes = []struct {
	prefix string
	kind   MethodKind
}{
	{"canister_update ", Update},
	{"canister_update_", Update},
	{"canister_query ", Query},
	{"canister_query_", Query},
	{"canister_composite_query ", CompositeQuery},
	{"canister_composite_query_", CompositeQuery},
}

// Entry points of the Internet Computer that a canister may export here, and
// the one whose occasion does not arise, since no threshold is ever set.
var entryPoints = map[string]bool{
	InitExport:                    true,
	PreUpgradeExport:              true,
	PostUpgradeExport:             true,
	InspectExport:                 true,
	HeartbeatExport:               true,
	TimerExport:                   true,
	"canister_on_low_wasm_memory": true,
}

// checkExports sorts the exports into methods and entry points.
func (m *module) checkExports(p *Program) error {
	command := -1
	for _, e := range m.exports {
		isEntry := strings.HasPrefix(e.name, "canister_") || e.name == InitializeExport
		switch {
		case strings.HasPrefix(e.name, reservedPrefix):
			return e.refuse("the prefix %q is reserved", reservedPrefix)
		case e.name == "_start" && e.kind == exportFunc:
			command = e.offset
		case isEntry && e.kind != exportFunc:
			return e.refuse("an entry point must be a function")
		case isEntry && (len(m.funcType(e.index).Params) > 0 || len(m.funcType(e.index).Results) > 0):
			return e.refuse("an entry point is () -> (), not %s: arguments and replies pass through functions of ic0", m.funcType(e.index))
		case e.name == InitializeExport:
			p.entries[e.name] = true
		case isEntry:
			if err := p.addEntry(e); err != nil {
				return err
			}
		}
	}
	if command >= 0 && !p.Has(InitializeExport) {
		return &Refusal{Section: "export", Offset: command,
			Reason: "a WASI command (it exports _start): build it as a reactor, which exports _initialize"}
	}
	if n := len(p.methods); n > maxMethods {
		return refuse("export", "%d methods, the limit is %d", n, maxMethods)
	}
	names := 0
	for name := range p.methods {
		names += len(name)
	}
	if names > maxMethodNames {
		return refuse("export", "names of methods of %d bytes together, the limit is %d", names, maxMethodNames)
	}
	slices.Sort(p.Updates)
	slices.Sort(p.Queries)
	slices.Sort(p.CompositeQueries)
	if m.start != nil {
		p.entries[StartExport] = true
	}
	return m.checkStart()
}

func (e export) refuse(format string, args ...any) error {
	return &Refusal{Section: "export", Offset: e.offset, Reason: quoted(e.name) + ": " + fmt.Sprintf(format, args...)}
}

// addEntry records a method or entry point of the right type.
func (p *Program) addEntry(e export) error {
	if entryPoints[e.name] {
		p.entries[e.name] = true
		return nil
	}
	for _, kind := range methodPrefixes {
		name, ok := strings.CutPrefix(e.name, kind.prefix)
		if !ok {
			continue
		}
		if other, dup := p.methods[name]; dup {
			return e.refuse("the method is exported as %s already", quoted(other.export))
		}
		p.methods[name] = method{kind.kind, e.name}
		switch kind.kind {
		case Update:
			p.Updates = append(p.Updates, name)
		case Query:
			p.Queries = append(p.Queries, name)
		case CompositeQuery:
			p.CompositeQueries = append(p.CompositeQueries, name)
		}
		return nil
	}
	return e.refuse("this entry point is not supported; there are canister_update NAME, canister_query NAME, canister_composite_query NAME and %s", list(slices.Collect(maps.Keys(entryPoints))))
}

func (m *module) checkStart() error {
	if m.start == nil {
		return nil
	}
	if t := m.funcType(*m.start); len(t.Params) > 0 || len(t.Results) > 0 {
		return refuse("start", "the start function is () -> (), not %s", t)
	}
	return nil
}
