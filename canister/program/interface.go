package program

import (
	"fmt"
	"slices"
	"strings"
)

// checkImports refuses imports that the host does not have, all at once.
func (m *module) checkImports(table func(module, name string) (FuncType, bool)) error {
	var unknown, wrong []string
	for _, imp := range m.imports {
		name := imp.module + "." + imp.name
		want, ok := table(imp.module, imp.name)
		got := m.types[imp.typ]
		switch {
		case !ok:
			unknown = append(unknown, name)
		case !got.Equal(want):
			wrong = append(wrong, fmt.Sprintf("%s is %s, not %s", name, want, got))
		}
	}
	var reasons []string
	if len(unknown) > 0 {
		reasons = append(reasons, "unknown imports: "+list(unknown))
	}
	if len(wrong) > 0 {
		reasons = append(reasons, "imports of a wrong type: "+list(wrong))
	}
	if reasons == nil {
		return nil
	}
	return refuse("import", "%s", strings.Join(reasons, "; "))
}

// list joins names in order, once each.
func list(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// Prefixes of exported methods. A toolchain that cannot put a space into the
// name of an export writes an underscore.
var methodPrefixes = []struct {
	prefix string
	query  bool
}{
	{"canister_update ", false},
	{"canister_update_", false},
	{"canister_query ", true},
	{"canister_query_", true},
}

// Entry points of the Internet Computer that a canister may export here:
// those that are called, and those whose occasion does not arise.
var entryPoints = map[string]bool{
	InitExport:              true,
	"canister_pre_upgrade":  true,
	"canister_post_upgrade": true,
}

// checkExports sorts the exports into methods and entry points.
func (m *module) checkExports(p *Program) error {
	names, command := 0, -1
	for _, e := range m.exports {
		isEntry := strings.HasPrefix(e.name, "canister_") || e.name == InitializeExport
		switch {
		case strings.HasPrefix(e.name, reservedPrefix):
			return e.refuse("the prefix %q is reserved", reservedPrefix)
		case e.name == "_start":
			command = e.offset
		case isEntry && e.kind != exportFunc:
			return e.refuse("not a function")
		case isEntry && (len(m.funcType(e.index).Params) > 0 || len(m.funcType(e.index).Results) > 0):
			return e.refuse("an entry point is () -> (), not %s", m.funcType(e.index))
		case e.name == InitializeExport:
			p.HasInitialize = true
		case isEntry:
			if err := p.addEntry(e); err != nil {
				return err
			}
			names += len(e.name)
		}
	}
	if command >= 0 && !p.HasInitialize {
		return &Refusal{Section: "export", Offset: command,
			Reason: "a WASI command (it exports _start): build it as a reactor, which exports _initialize"}
	}
	if methods := len(p.Updates) + len(p.Queries); methods > maxMethods || names > maxMethodName {
		return refuse("export", "%d methods with names of %d bytes, the limits are %d and %d",
			methods, names, maxMethods, maxMethodName)
	}
	slices.Sort(p.Updates)
	slices.Sort(p.Queries)
	p.HasStart = m.start != nil
	return m.checkStart()
}

func (e export) refuse(format string, args ...any) error {
	return &Refusal{Section: "export", Offset: e.offset, Reason: fmt.Sprintf("%q: ", e.name) + fmt.Sprintf(format, args...)}
}

// addEntry records a method or entry point of the right type.
func (p *Program) addEntry(e export) error {
	if entryPoints[e.name] {
		p.HasInit = p.HasInit || e.name == InitExport
		return nil
	}
	for _, kind := range methodPrefixes {
		name, ok := strings.CutPrefix(e.name, kind.prefix)
		if !ok {
			continue
		}
		for _, query := range []bool{false, true} {
			if other, dup := p.exports[method{name, query}]; dup {
				return e.refuse("the method is exported as %q already", other)
			}
		}
		p.exports[method{name, kind.query}] = e.name
		if kind.query {
			p.Queries = append(p.Queries, name)
		} else {
			p.Updates = append(p.Updates, name)
		}
		return nil
	}
	return e.refuse("this entry point is not supported")
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
