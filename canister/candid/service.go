package candid

import (
	"math"
	"slices"
	"strconv"
)

// Description is what a .did file says of a service.
type Description struct {
	Init    []*Type // arguments of its installation
	Methods map[string]*Method

	names map[uint32]string // of all fields in the file
	types map[string]*Type
	order []*Type // that are to be resolved
}

// Names are the names of the description's fields by id, for Decode.
func (d *Description) Names() map[uint32]string { return d.names }

// Parse reads a service description. Imports are not followed: they are faults.
func Parse(did string) (*Description, error) {
	d := &Description{Methods: make(map[string]*Method), names: make(map[uint32]string), types: make(map[string]*Type)}
	p := newParser(did)
	for p.err == nil && p.is("type") {
		p.next()
		name := p.identifier()
		p.expect("=")
		if d.types[name] != nil {
			p.fail("type %s is defined twice", name)
		}
		d.types[name] = d.parseType(p)
		if !p.accept(";") {
			break
		}
	}
	var actor *Type
	if p.accept("service") {
		actor = d.parseActor(p)
		p.accept(";")
	}
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("a type or a service expected, not %q", p.tok.text)
	}
	d.resolve(p)
	if p.err == nil && actor != nil {
		d.adopt(p, actor.resolved())
	}
	return d, p.err
}

// parseActor reads what follows the word service.
func (d *Description) parseActor(p *parser) *Type {
	if !p.is(":") {
		p.identifier()
	}
	p.expect(":")
	if p.is("(") {
		d.Init = d.parseTuple(p)
		p.expect("->")
	}
	if p.is("{") {
		return d.parseService(p)
	}
	return d.parseType(p)
}

func (d *Description) adopt(p *parser, actor *Type) {
	if actor.Kind != Service {
		p.fail("the service is a %s", actor.Kind)
		return
	}
	for _, f := range actor.Fields {
		t := f.Type.resolved()
		if t.Kind != Func {
			p.fail("method %s is a %s", f.Name, t.Kind)
			return
		}
		d.Methods[f.Name] = t.Func
	}
}

// resolve gives names their types; a name that leads to itself is none.
func (d *Description) resolve(p *parser) {
	for _, t := range d.order {
		if t.ref = d.types[t.name]; t.ref == nil {
			p.fail("there is no type %s", t.name)
			return
		}
	}
	for _, t := range d.order {
		for n, u := 0, t; u.ref != nil; u = u.ref {
			if n++; n > len(d.order) {
				for _, bad := range d.order {
					bad.ref = nil
				}
				p.fail("type %s is nothing but itself", t.name)
				return
			}
		}
	}
}

func (p *parser) identifier() string {
	if p.tok.kind != tokName && p.tok.kind != tokText {
		p.fail("a name expected, not %q", p.tok.text)
	}
	return p.take().text
}

func (d *Description) parseType(p *parser) *Type {
	defer p.deeper()()
	if p.tok.kind != tokName {
		p.fail("a type expected, not %q", p.tok.text)
		return &Type{Kind: Null}
	}
	name := p.take().text
	if k, ok := primitives[name]; ok {
		return &Type{Kind: k}
	}
	switch name {
	case "blob":
		return &Type{Kind: Vec, Elem: &Type{Kind: Nat8}}
	case "opt":
		return &Type{Kind: Opt, Elem: d.parseType(p)}
	case "vec":
		return &Type{Kind: Vec, Elem: d.parseType(p)}
	case "record":
		return d.parseFields(p, Record)
	case "variant":
		return d.parseFields(p, Variant)
	case "func":
		return &Type{Kind: Func, Func: d.parseMethod(p)}
	case "service":
		return d.parseService(p)
	}
	t := &Type{name: name}
	d.order = append(d.order, t)
	return t
}

// parseFields reads { name : T; 5 : T; T } or, in variants, { name; name : T }.
func (d *Description) parseFields(p *parser, k Kind) *Type {
	t := &Type{Kind: k}
	p.expect("{")
	for next := uint32(0); p.err == nil && !p.is("}"); {
		f := d.parseField(p, k, next)
		next = f.ID + 1
		t.Fields = append(t.Fields, f)
		if !p.accept(";") && !p.is("}") {
			p.fail("%q expected, not %q", "}", p.tok.text)
		}
	}
	p.expect("}")
	if !sortFields(t.Fields) {
		p.fail("two fields have the same id")
	}
	return t
}

func (d *Description) parseField(p *parser, k Kind, next uint32) Field {
	before := *p
	label := p.take()
	if label.kind != tokMark && (p.is(":") || k == Variant) {
		f := d.label(p, label)
		if f.Type = (&Type{Kind: Null}); p.accept(":") {
			f.Type = d.parseType(p)
		}
		return f
	}
	*p = before
	return Field{ID: next, Type: d.parseType(p)}
}

// label is a field's name or number.
func (d *Description) label(p *parser, t token) Field {
	if t.kind == tokNumber {
		id, err := strconv.ParseUint(t.text, 0, 32)
		if err != nil {
			p.fail("a field's number is within 0 and %d", uint32(math.MaxUint32))
		}
		return Field{ID: uint32(id)}
	}
	f := Field{ID: Hash(t.text), Name: t.text}
	d.names[f.ID] = f.Name
	return f
}

func (d *Description) parseService(p *parser) *Type {
	t := &Type{Kind: Service}
	p.expect("{")
	for p.err == nil && !p.is("}") {
		f := Field{Name: p.identifier()}
		f.ID = Hash(f.Name)
		p.expect(":")
		if p.is("(") {
			f.Type = &Type{Kind: Func, Func: d.parseMethod(p)}
		} else {
			f.Type = d.parseType(p)
		}
		t.Fields = append(t.Fields, f)
		if !p.accept(";") {
			break
		}
	}
	p.expect("}")
	return t
}

func (d *Description) parseMethod(p *parser) *Method {
	m := &Method{Args: d.parseTuple(p)}
	p.expect("->")
	m.Results = d.parseTuple(p)
	for modes := []string{"query", "oneway", "composite_query"}; p.tok.kind == tokName && slices.Contains(modes, p.tok.text); {
		m.Modes = append(m.Modes, p.take().text)
	}
	return m
}

// parseTuple reads (T, name : T); names of arguments mean nothing.
func (d *Description) parseTuple(p *parser) []*Type {
	var types []*Type
	p.expect("(")
	for p.err == nil && !p.is(")") {
		before := *p
		if label := p.take(); label.kind == tokMark || !p.accept(":") {
			*p = before
		}
		types = append(types, d.parseType(p))
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return types
}
