package candid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"lockstep/canister/systemapi"
)

// Raw is a value as its bytes, for programs that want some parts of a message
// and not all of it: nothing but those parts is built. The zero Raw is absent:
// it is read as null.
type Raw struct {
	typ  *Type
	data []byte
}

// Args takes a message apart into its arguments. The whole message is checked.
func Args(data []byte) ([]Raw, error) {
	d := newDecoder(data, nil)
	types := d.header()
	args := make([]Raw, len(types))
	for i, t := range types {
		args[i] = d.raw(t)
	}
	return args, d.end()
}

// raw passes over a value.
func (d *decoder) raw(t *Type) Raw {
	start := d.data
	d.skip(t)
	return Raw{t, start[:len(start)-len(d.data)]}
}

// skip passes over a value without printing it.
func (d *decoder) skip(t *Type) {
	defer d.leave()
	if !d.enter() {
		return
	}
	switch t.Kind {
	case Text:
		d.text()
	case Opt:
		if d.some() {
			d.skip(t.Elem)
		}
	case Vec:
		n := d.uint()
		if t.Elem.Kind == Nat8 {
			d.take(n)
			return
		}
		for i := uint64(0); i < n && d.err == nil; i++ {
			d.skip(t.Elem)
		}
	case Record:
		for i := 0; i < len(t.Fields) && d.err == nil; i++ {
			d.skip(t.Fields[i].Type)
		}
	case Variant:
		if f := d.chosen(t); d.err == nil {
			d.skip(f.Type)
		}
	default: // of bounded size, and checked as it is printed
		d.scalar(t)
		d.out.Reset()
	}
}

// part reads something out of the value.
func (r Raw) part(what string, is bool, read func(*decoder)) error {
	if !is {
		if r.typ == nil {
			return fmt.Errorf("nothing, not %s", what)
		}
		return fmt.Errorf("a %s, not %s", r.typ.Kind, what)
	}
	d := newDecoder(r.data, nil)
	read(d)
	return d.err
}

func (r Raw) is(k Kind) bool { return r.typ != nil && r.typ.Kind == k }

// Field is a record's field; absent if the record has none of the name.
func (r Raw) Field(name string) (f Raw, err error) {
	err = r.part("a record", r.is(Record), func(d *decoder) {
		for _, field := range r.typ.Fields {
			if value := d.raw(field.Type); field.ID == Hash(name) {
				f = value
			}
		}
	})
	return f, err
}

// Case is the id of a variant's case, Hash of its name, and what it carries.
func (r Raw) Case() (id uint32, value Raw, err error) {
	err = r.part("a variant", r.is(Variant), func(d *decoder) {
		if f := d.chosen(r.typ); d.err == nil {
			id, value = f.ID, d.raw(f.Type)
		}
	})
	return id, value, err
}

// Opt is what an opt holds; ok is false for null, and for what is absent. A
// value that is no opt is taken for one that is there, as Candid lets it be.
func (r Raw) Opt() (value Raw, ok bool, err error) {
	switch {
	case r.typ == nil || r.typ.Kind == Null || r.typ.Kind == Reserved:
		return Raw{}, false, nil
	case r.typ.Kind != Opt:
		return r, true, nil
	}
	err = r.part("", true, func(d *decoder) {
		if ok = d.some(); ok {
			value = d.raw(r.typ.Elem)
		}
	})
	return value, ok, err
}

// Vec are the elements of a vec, at most most of them.
func (r Raw) Vec(most int) (values []Raw, err error) {
	err = r.part("a vec", r.is(Vec), func(d *decoder) {
		n := d.uint()
		if n > uint64(most) {
			d.fail("a vec of %d, at most %d are allowed", n, most)
		}
		for ; n > 0 && d.err == nil; n-- {
			values = append(values, d.raw(r.typ.Elem))
		}
	})
	return values, err
}

// Blob is a vec of nat8. It shares the message's memory.
func (r Raw) Blob() (b []byte, err error) {
	is := r.is(Vec) && r.typ.Elem.Kind == Nat8
	err = r.part("a blob", is, func(d *decoder) { b = d.take(d.uint()) })
	return b, err
}

// Bool is a truth value.
func (r Raw) Bool() (b bool, err error) {
	err = r.part("a bool", r.is(Bool), func(d *decoder) { b = d.u8() == 1 })
	return b, err
}

// Nat is a number that is not negative, of any type for whole numbers.
func (r Raw) Nat() (n *big.Int, err error) {
	whole := r.typ != nil && (r.typ.Kind == Nat || r.typ.Kind == Int || r.typ.Kind.bits() > 0)
	err = r.part("a nat", whole, func(d *decoder) {
		switch bits := r.typ.Kind.bits(); {
		case bits == 0:
			n = d.leb(r.typ.Kind == Int)
		default:
			word := binary.LittleEndian.Uint64(append(append(make([]byte, 0, 16), d.take(uint64(bits/8))...), make([]byte, 8)...))
			if n = new(big.Int).SetUint64(word); r.typ.Kind.signed() {
				n.SetInt64(int64(word) << (64 - bits) >> (64 - bits))
			}
		}
	})
	if err == nil && n.Sign() < 0 {
		err = errors.New("a negative number, not a nat")
	}
	return n, err
}

// Principal is a principal's bytes. It shares the message's memory.
func (r Raw) Principal() (p []byte, err error) {
	err = r.part("a principal", r.is(Principal), func(d *decoder) {
		d.u8()
		p = d.take(d.uint())
		if len(p) > systemapi.MaxPrincipal {
			d.fail("a principal of %d bytes", len(p))
		}
	})
	return p, err
}
