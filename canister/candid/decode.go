package candid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"lockstep/canister/systemapi"
)

// The values of one message are bounded by its length, since many take no bytes.
const (
	someValues    = 1024
	valuesPerByte = 8
)

// Decode turns bytes into the text of the arguments, as Encode takes it. names
// are those of fields, by id; a field without a name gets its number.
func Decode(data []byte, names map[uint32]string) (string, error) {
	d := newDecoder(data, names)
	d.run()
	if err := d.end(); err != nil {
		return "", err
	}
	return d.out.String(), nil
}

func newDecoder(data []byte, names map[uint32]string) *decoder {
	return &decoder{data: data, length: len(data), names: names, values: someValues + valuesPerByte*len(data)}
}

// end is the fault, with its place. Bytes that are left are one.
func (d *decoder) end() error {
	if len(d.data) > 0 {
		d.fail("%d bytes too many", len(d.data))
	}
	if d.err != nil {
		return fmt.Errorf("candid: byte %d of %d: %w", d.length-len(d.data), d.length, d.err)
	}
	return nil
}

// decoder reads bytes and prints. The first fault is kept; from then on it
// reads zeros.
type decoder struct {
	data   []byte // what is left
	length int    // of all
	names  map[uint32]string
	types  []*Type
	out    strings.Builder
	values int // that may still come
	depth  int
	err    error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// header reads the type table and the types of the arguments.
func (d *decoder) header() []*Type {
	if string(d.take(uint64(len(magic)))) != magic {
		d.fail("not Candid: it does not begin with %s", magic)
		return nil
	}
	d.readTable()
	n := d.count("arguments")
	types := make([]*Type, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		types = append(types, d.readRef())
	}
	return types
}

func (d *decoder) run() {
	types := d.header()
	d.out.WriteByte('(')
	for i, t := range types {
		if i > 0 {
			d.out.WriteString(", ")
		}
		d.value(t)
	}
	d.out.WriteByte(')')
}

func (d *decoder) take(n uint64) []byte {
	if d.err == nil && n > uint64(len(d.data)) {
		d.fail("%d bytes expected", n)
	}
	if d.err != nil {
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail("a number expected")
		return 0
	}
	d.take(uint64(n))
	return v
}

// count is a number of things that take a byte each at least.
func (d *decoder) count(what string) int {
	n := d.uint()
	if n > uint64(len(d.data)) {
		d.fail("%d %s in %d bytes", n, what, len(d.data))
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

// leb reads LEB128 of any length.
func (d *decoder) leb(signed bool) *big.Int {
	n := 0
	for n < len(d.data) && d.data[n]&0x80 != 0 {
		n++
	}
	if n > maxDigits {
		d.fail("a number of more than %d bytes", maxDigits)
	}
	raw := d.take(uint64(n) + 1)
	bits := make([]byte, (7*len(raw)+7)/8) // big endian
	for i, b := range raw {
		v, at := uint16(b&0x7f)<<(7*i%8), len(bits)-1-7*i/8
		if bits[at] |= byte(v); v > 0xff {
			bits[at-1] |= byte(v >> 8)
		}
	}
	v := new(big.Int).SetBytes(bits)
	if signed && len(raw) > 0 && raw[len(raw)-1]&0x40 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(7*len(raw))))
	}
	return v
}

func (d *decoder) small() int64 {
	v := d.leb(true)
	if !v.IsInt64() {
		d.fail("a type by the number %s", v)
		return 0
	}
	return v.Int64()
}

func (d *decoder) readTable() {
	n := d.count("types")
	d.types = make([]*Type, n)
	for i := range d.types {
		d.types[i] = &Type{}
	}
	for i := 0; i < n && d.err == nil; i++ {
		d.readType(d.types[i])
	}
}

// readRef reads a type's number: a primitive one or a place in the table.
func (d *decoder) readRef() *Type {
	switch n := d.small(); {
	case n >= 0 && n < int64(len(d.types)):
		return d.types[n]
	case n <= int64(Null) && n >= int64(Empty), n == int64(Principal):
		return &Type{Kind: Kind(n)}
	default:
		d.fail("there is no type %d", n)
	}
	return &Type{Kind: Null}
}

func (d *decoder) readType(t *Type) {
	t.Kind = Kind(d.small())
	switch t.Kind {
	case Opt, Vec:
		t.Elem = d.readRef()
	case Record, Variant:
		last := -1
		for n := d.count("fields"); n > 0 && d.err == nil; n-- {
			id := d.uint()
			if id > math.MaxUint32 || int(id) <= last {
				d.fail("field %d out of order", id)
			}
			last = int(id)
			t.Fields = append(t.Fields, Field{ID: uint32(id), Name: d.names[uint32(id)], Type: d.readRef()})
		}
	case Func:
		for range 2 {
			for n := d.count("types"); n > 0 && d.err == nil; n-- {
				d.readRef()
			}
		}
		d.take(uint64(d.count("modes")))
	case Service:
		for n := d.count("methods"); n > 0 && d.err == nil; n-- {
			d.text()
			d.readRef()
		}
	default:
		d.fail("type %d in the table is none that is known", t.Kind)
	}
}

func (d *decoder) text() string {
	s := string(d.take(d.uint()))
	if !utf8.ValidString(s) {
		d.fail("a text that is not UTF-8")
	}
	return s
}

// enter begins a value, which leave ends; false if there has been a fault.
func (d *decoder) enter() bool {
	d.depth++
	if d.values--; d.values < 0 || d.depth > maxDepth {
		d.fail("more values than so few bytes may stand for, or nested deeper than %d", maxDepth)
	}
	return d.err == nil
}

func (d *decoder) leave() { d.depth-- }

// value reads a value and prints it.
func (d *decoder) value(t *Type) {
	defer d.leave()
	if !d.enter() {
		return
	}
	switch t.Kind {
	case Text:
		d.quote(d.text(), false)
	case Opt:
		d.opt(t)
	case Vec:
		d.vec(t)
	case Record:
		d.record(t)
	case Variant:
		d.variant(t)
	default:
		d.scalar(t)
	}
}

// scalar reads and prints a value that holds no others.
func (d *decoder) scalar(t *Type) {
	switch t.Kind {
	case Null:
		d.out.WriteString("null")
	case Reserved:
		d.out.WriteString("null : reserved")
	case Empty:
		d.fail("a value of type empty")
	case Bool:
		if b := d.u8(); b > 1 {
			d.fail("%d is no bool", b)
		} else {
			d.out.WriteString(strconv.FormatBool(b == 1))
		}
	case Principal, Service, Func:
		d.reference(t)
	default:
		d.number(t.Kind)
	}
}

func (d *decoder) number(k Kind) {
	switch k {
	case Int:
		d.out.WriteString(d.leb(true).String())
		return
	case Nat:
		d.out.WriteString(d.leb(false).String())
	case Float32, Float64:
		d.float(k)
	default:
		bits := k.bits()
		word := binary.LittleEndian.Uint64(append(append(make([]byte, 0, 16), d.take(uint64(bits/8))...), make([]byte, 8)...))
		if k.signed() {
			d.out.WriteString(strconv.FormatInt(int64(word)<<(64-bits)>>(64-bits), 10))
		} else {
			d.out.WriteString(strconv.FormatUint(word, 10))
		}
	}
	d.out.WriteString(" : " + k.String())
}

func (d *decoder) float(k Kind) {
	raw := append(append(make([]byte, 0, 16), d.take(uint64(8-4*(k-Float64)))...), make([]byte, 8)...)
	f, bits := math.Float64frombits(binary.LittleEndian.Uint64(raw)), 64
	if k == Float32 {
		f, bits = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), 32
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(text, ".eIN") {
		text += ".0"
	}
	d.out.WriteString(text)
}

// some tells whether an opt holds a value.
func (d *decoder) some() bool {
	b := d.u8()
	if b > 1 {
		d.fail("neither null nor opt")
	}
	return b == 1
}

func (d *decoder) opt(t *Type) {
	if !d.some() {
		d.out.WriteString("null")
		return
	}
	d.out.WriteString("opt (")
	d.value(t.Elem)
	d.out.WriteByte(')')
}

func (d *decoder) vec(t *Type) {
	n := d.uint()
	if t.Elem.Kind == Nat8 {
		d.out.WriteString("blob ")
		d.quote(string(d.take(n)), true)
		return
	}
	d.out.WriteString("vec {")
	for i := uint64(0); i < n && d.err == nil; i++ {
		d.separate(i)
		d.value(t.Elem)
	}
	d.out.WriteString(" }")
}

func (d *decoder) separate(i uint64) {
	if i > 0 {
		d.out.WriteByte(';')
	}
	d.out.WriteByte(' ')
}

func (d *decoder) record(t *Type) {
	tuple := true
	for i, f := range t.Fields {
		tuple = tuple && f.ID == uint32(i)
	}
	d.out.WriteString("record {")
	for i, f := range t.Fields {
		if d.err != nil {
			return
		}
		d.separate(uint64(i))
		if !tuple {
			d.label(f)
			d.out.WriteString(" = ")
		}
		d.value(f.Type)
	}
	d.out.WriteString(" }")
}

// chosen is the case of a variant.
func (d *decoder) chosen(t *Type) Field {
	i := d.uint()
	if i >= uint64(len(t.Fields)) {
		d.fail("case %d of %d", i, len(t.Fields))
		return Field{}
	}
	return t.Fields[i]
}

func (d *decoder) variant(t *Type) {
	f := d.chosen(t)
	if d.err != nil {
		return
	}
	d.out.WriteString("variant { ")
	d.label(f)
	if f.Type.Kind != Null {
		d.out.WriteString(" = ")
		d.value(f.Type)
	}
	d.out.WriteString(" }")
}

func (d *decoder) label(f Field) {
	if f.Name == "" {
		d.out.WriteString(f.String())
		return
	}
	d.name(f.Name)
}

// name prints a name, in quotes unless it is a plain word.
func (d *decoder) name(name string) {
	plain := name != "" && isLetter(name[0])
	for i := range len(name) {
		plain = plain && (isLetter(name[i]) || isDigit(name[i]))
	}
	if plain {
		d.out.WriteString(name)
		return
	}
	d.quote(name, false)
}

// reference prints a principal, or what belongs to one.
func (d *decoder) reference(t *Type) {
	principal := func() string {
		if d.u8() != 1 {
			d.fail("a reference that says nothing")
		}
		raw := d.take(d.uint())
		if len(raw) > systemapi.MaxPrincipal {
			d.fail("a principal of %d bytes", len(raw))
		}
		return strconv.Quote(systemapi.PrincipalText(raw))
	}
	if t.Kind == Func && d.u8() != 1 {
		d.err = errors.Join(d.err, errors.New("a reference that says nothing"))
	}
	d.out.WriteString(t.Kind.String() + " " + principal())
	if t.Kind == Func {
		d.out.WriteByte('.')
		d.name(d.text())
	}
}

// quote prints a text, or the bytes of a blob; what a terminal would not print, escaped.
func (d *decoder) quote(s string, blob bool) {
	d.out.WriteByte('"')
	for i, size := 0, 0; i < len(s); i += size {
		r := rune(s[i])
		if size = 1; r >= utf8.RuneSelf && !blob {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == '"' || r == '\\':
			d.out.WriteByte('\\')
			d.out.WriteByte(s[i])
		case r == '\n' && !blob:
			d.out.WriteString(`\n`)
		case r < ' ' || r == 0x7f || r >= utf8.RuneSelf && size == 1:
			fmt.Fprintf(&d.out, `\%02x`, s[i])
		case !strconv.IsPrint(r):
			fmt.Fprintf(&d.out, `\u{%x}`, r)
		default:
			d.out.WriteString(s[i : i+size])
		}
	}
	d.out.WriteByte('"')
}
