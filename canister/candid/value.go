package candid

import (
	"strings"

	"lockstep/canister/systemapi"
)

// form is how a value is written.
type form uint8

const (
	formNull form = iota
	formBool
	formNumber
	formText
	formBlob
	formOpt
	formVec
	formRecord
	formVariant
	formPrincipal
	formService
	formFunc
)

var formNames = [...]string{"null", "a bool", "a number", "a text", "a blob", "an opt", "a vec", "a record", "a variant",
	"a principal", "a service", "a func"}

func (f form) String() string { return formNames[f] }

// value is one value as text says it.
type value struct {
	form   form
	text   string // the number, text, bytes of a blob or principal; "true" or ""
	method string // of a func
	items  []value
	fields []fieldValue // of a record; of a variant one
	typ    *Type        // that the text gives it, or nil
	at     int          // where in the text it begins
	given  bool         // it is in the text
}

type fieldValue struct {
	field Field
	value value
}

// parseArgs reads (value, value).
func parseArgs(text string) ([]value, error) {
	p := newParser(text)
	d := &Description{names: make(map[uint32]string), types: make(map[string]*Type)}
	var args []value
	p.expect("(")
	for p.err == nil && !p.is(")") {
		args = append(args, d.annotated(p))
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("%q after the arguments", p.tok.text)
	}
	d.resolve(p)
	return args, p.err
}

// annotated reads a value and the type that may follow it.
func (d *Description) annotated(p *parser) value {
	defer p.deeper()()
	v := d.value(p)
	if p.accept(":") {
		v.typ = d.parseType(p)
	}
	return v
}

func (d *Description) value(p *parser) value {
	at := p.tok.at
	v := d.unplaced(p)
	v.at, v.given = at, true
	return v
}

func (d *Description) unplaced(p *parser) value {
	switch t := p.take(); t.kind {
	case tokNumber:
		return value{form: formNumber, text: t.text}
	case tokText:
		return value{form: formText, text: t.text}
	case tokName:
		return d.named(p, t.text)
	case tokMark:
		if t.text == "(" {
			v := d.annotated(p)
			p.expect(")")
			return v
		}
		fallthrough
	default:
		p.fail("a value expected, not %q", t.text)
		return value{}
	}
}

func (d *Description) named(p *parser, word string) value {
	switch word {
	case "null":
		return value{form: formNull}
	case "true":
		return value{form: formBool, text: word}
	case "false":
		return value{form: formBool}
	case "blob":
		return value{form: formBlob, text: p.quoted()}
	case "opt":
		defer p.deeper()()
		return value{form: formOpt, items: []value{d.value(p)}}
	case "vec":
		return value{form: formVec, items: d.items(p)}
	case "record":
		return value{form: formRecord, fields: d.recordFields(p)}
	case "variant":
		return d.variant(p)
	case "principal":
		return value{form: formPrincipal, text: p.principal()}
	case "service":
		return value{form: formService, text: p.principal()}
	case "func":
		v := value{form: formFunc, text: p.principal()}
		p.expect(".")
		v.method = p.identifier()
		return v
	}
	p.fail("%q is not a value", word)
	return value{}
}

func (p *parser) quoted() string {
	if p.tok.kind != tokText {
		p.fail("a quoted text expected, not %q", p.tok.text)
	}
	return p.take().text
}

func (p *parser) principal() string {
	text := p.quoted()
	if p.err != nil {
		return ""
	}
	raw, err := systemapi.ParsePrincipal(text)
	if err != nil {
		p.fail("%v", err)
	}
	return string(raw)
}

func (d *Description) items(p *parser) []value {
	var items []value
	p.expect("{")
	for p.err == nil && !p.is("}") {
		items = append(items, d.annotated(p))
		if !p.accept(";") {
			break
		}
	}
	p.expect("}")
	return items
}

// recordFields reads { name = value; 5 = value; value }.
func (d *Description) recordFields(p *parser) []fieldValue {
	var fields []fieldValue
	seen := make(map[uint32]bool)
	p.expect("{")
	for next := uint32(0); p.err == nil && !p.is("}"); {
		before := *p
		f := Field{ID: next}
		if label := p.take(); label.kind != tokMark && p.accept("=") {
			f = d.label(p, label)
		} else {
			*p = before
		}
		fields = append(fields, fieldValue{f, d.annotated(p)})
		if seen[f.ID] {
			p.fail("two fields have the same id %d", f.ID)
		}
		seen[f.ID], next = true, f.ID+1
		if !p.accept(";") {
			break
		}
	}
	p.expect("}")
	return fields
}

func (d *Description) variant(p *parser) value {
	p.expect("{")
	f := fieldValue{field: d.label(p, p.take())}
	if p.accept("=") {
		f.value = d.annotated(p)
	}
	p.accept(";")
	p.expect("}")
	return value{form: formVariant, fields: []fieldValue{f}}
}

// infer gives the type of a value that nothing else is known of.
func (v value) infer() *Type {
	if v.typ != nil {
		return v.typ
	}
	switch v.form {
	case formBool:
		return &Type{Kind: Bool}
	case formNumber:
		if strings.ContainsAny(v.text, ".") || !strings.Contains(v.text, "x") && strings.ContainsAny(v.text, "eE") {
			return &Type{Kind: Float64}
		}
		return &Type{Kind: Int}
	case formText:
		return &Type{Kind: Text}
	case formBlob:
		return &Type{Kind: Vec, Elem: &Type{Kind: Nat8}}
	case formOpt:
		return &Type{Kind: Opt, Elem: v.items[0].infer()}
	case formVec:
		t := &Type{Kind: Vec, Elem: &Type{Kind: Empty}}
		if len(v.items) > 0 {
			t.Elem = v.items[0].infer()
		}
		return t
	case formRecord, formVariant:
		t := &Type{Kind: Record}
		if v.form == formVariant {
			t.Kind = Variant
		}
		for _, f := range v.fields {
			f.field.Type = f.value.infer()
			t.Fields = append(t.Fields, f.field)
		}
		sortFields(t.Fields)
		return t
	case formPrincipal:
		return &Type{Kind: Principal}
	case formService:
		return &Type{Kind: Service}
	case formFunc:
		return &Type{Kind: Func, Func: &Method{}}
	}
	return &Type{Kind: Null}
}
