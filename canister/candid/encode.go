package candid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"
)

const magic = "DIDL"

// Encode turns arguments such as (5, "text") into bytes. types are what the
// receiver takes; nil lets the text decide. Arguments that are left out at the
// end, and fields of records, become null where null is allowed.
func Encode(text string, types []*Type) ([]byte, error) {
	args, err := parseArgs(text)
	if err != nil {
		return nil, err
	}
	data, err := encode(args, types)
	var fault *misplaced
	switch {
	case errors.As(err, &fault):
		return nil, fmt.Errorf("candid: %s: %w", place(text, fault.at), err)
	case err != nil:
		return nil, fmt.Errorf("candid: %w", err)
	}
	return data, nil
}

// misplaced is a fault of the value that begins at a place of the text.
type misplaced struct {
	error
	at int
}

func (m *misplaced) Unwrap() error { return m.error }

func encode(args []value, types []*Type) ([]byte, error) {
	if types == nil {
		for _, v := range args {
			types = append(types, v.infer())
		}
	}
	if len(args) > len(types) {
		return nil, fmt.Errorf("%d arguments, the method takes %d", len(args), len(types))
	}
	e := encoder{index: make(map[*Type]int64)}
	var refs []byte
	for i, t := range types {
		refs = appendInt(refs, big.NewInt(e.ref(t)))
		v := value{}
		if i < len(args) {
			v = args[i]
		} else if !nullable(t) {
			return nil, fmt.Errorf("%d arguments, the method takes %d", len(args), len(types))
		}
		if err := e.value(v, t); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	out := binary.AppendUvarint([]byte(magic), uint64(len(e.table)))
	out = append(out, slices.Concat(e.table...)...)
	out = binary.AppendUvarint(out, uint64(len(types)))
	return append(append(out, refs...), e.out...), nil
}

func nullable(t *Type) bool {
	k := t.resolved().Kind
	return k == Null || k == Opt || k == Reserved
}

type encoder struct {
	table [][]byte // one entry a composed type
	index map[*Type]int64
	out   []byte // values
}

// ref is how the binary format names a type: a primitive or its place in the table.
func (e *encoder) ref(t *Type) int64 {
	t = t.resolved()
	if t.Kind > Opt || t.Kind == Principal {
		return int64(t.Kind)
	}
	if i, ok := e.index[t]; ok {
		return i
	}
	i := int64(len(e.table))
	e.index[t] = i
	e.table = append(e.table, nil) // the type may refer to itself
	e.table[i] = e.entry(t)
	return i
}

func (e *encoder) entry(t *Type) []byte {
	b := appendInt(nil, big.NewInt(int64(t.Kind)))
	switch t.Kind {
	case Opt, Vec:
		return appendInt(b, big.NewInt(e.ref(t.Elem)))
	case Record, Variant:
		b = binary.AppendUvarint(b, uint64(len(t.Fields)))
		for _, f := range t.Fields {
			b = appendInt(binary.AppendUvarint(b, uint64(f.ID)), big.NewInt(e.ref(f.Type)))
		}
	case Service:
		methods := slices.Clone(t.Fields)
		slices.SortFunc(methods, func(a, b Field) int { return compare(a.Name, b.Name) })
		b = binary.AppendUvarint(b, uint64(len(methods)))
		for _, f := range methods {
			b = appendInt(appendText(b, f.Name), big.NewInt(e.ref(f.Type)))
		}
	case Func:
		for _, list := range [][]*Type{t.Func.Args, t.Func.Results} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, u := range list {
				b = appendInt(b, big.NewInt(e.ref(u)))
			}
		}
		b = binary.AppendUvarint(b, uint64(len(t.Func.Modes)))
		for _, mode := range t.Func.Modes {
			b = append(b, modeCodes[mode])
		}
	}
	return b
}

var modeCodes = map[string]byte{"query": 1, "oneway": 2, "composite_query": 3}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendNat and appendInt write LEB128, unsigned and signed.
func appendNat(b []byte, v *big.Int) []byte {
	v = new(big.Int).Set(v)
	for low := new(big.Int); ; {
		c := byte(low.And(v, big.NewInt(0x7f)).Uint64())
		if v.Rsh(v, 7); v.Sign() == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendInt(b []byte, v *big.Int) []byte {
	v = new(big.Int).Set(v)
	for low := new(big.Int); ; {
		c := byte(low.And(v, big.NewInt(0x7f)).Uint64())
		v.Rsh(v, 7) // rounds down, as two's complement does
		if sign := c&0x40 != 0; v.Sign() == 0 && !sign || v.IsInt64() && v.Int64() == -1 && sign {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func mismatch(v value, t *Type) error { return fmt.Errorf("%s is no %s", v.form, t.Kind) }

// value writes a value as a type. A fault gets the place of the innermost value that has it.
func (e *encoder) value(v value, t *Type) error {
	err := e.unplaced(v, t)
	if fault := new(*misplaced); err != nil && v.given && !errors.As(err, fault) {
		err = &misplaced{err, v.at}
	}
	return err
}

func (e *encoder) unplaced(v value, t *Type) error {
	t = t.resolved()
	if v.typ != nil && v.typ.resolved().Kind != t.Kind && t.Kind != Opt && t.Kind != Reserved {
		return fmt.Errorf("a value of type %s is no %s", v.typ.resolved().Kind, t.Kind)
	}
	switch t.Kind {
	case Reserved:
		return nil
	case Empty:
		return errors.New("there is no value of type empty")
	case Nat, Int, Nat8, Nat16, Nat32, Nat64, Int8, Int16, Int32, Int64, Float32, Float64:
		return e.number(v, t)
	case Opt:
		return e.opt(v, t)
	case Vec:
		return e.vec(v, t)
	case Record:
		return e.record(v, t)
	case Variant:
		return e.variant(v, t)
	}
	return e.simple(v, t)
}

func (e *encoder) simple(v value, t *Type) error {
	switch {
	case t.Kind == Null && v.form == formNull:
	case t.Kind == Bool && v.form == formBool:
		e.out = append(e.out, byte(min(len(v.text), 1)))
	case t.Kind == Text && v.form == formText:
		if !utf8.ValidString(v.text) {
			return errors.New("a text that is not UTF-8: write blob")
		}
		e.out = appendText(e.out, v.text)
	case t.Kind == Principal && v.form == formPrincipal, t.Kind == Service && v.form == formService:
		e.out = appendText(append(e.out, 1), v.text)
	case t.Kind == Func && v.form == formFunc:
		e.out = appendText(appendText(append(e.out, 1, 1), v.text), v.method)
	default:
		return mismatch(v, t)
	}
	return nil
}

func (e *encoder) number(v value, t *Type) error {
	if v.form != formNumber {
		return mismatch(v, t)
	}
	if t.Kind == Float32 || t.Kind == Float64 {
		bits := 64
		if t.Kind == Float32 {
			bits = 32
		}
		f, err := strconv.ParseFloat(v.text, bits)
		if err != nil {
			return fmt.Errorf("%s is no %s", v.text, t.Kind)
		}
		if bits == 32 {
			e.out = binary.LittleEndian.AppendUint32(e.out, math.Float32bits(float32(f)))
		} else {
			e.out = binary.LittleEndian.AppendUint64(e.out, math.Float64bits(f))
		}
		return nil
	}
	n, ok := parseInteger(v.text)
	if !ok || n.Sign() < 0 && !t.Kind.signed() {
		return fmt.Errorf("%s is no %s", v.text, t.Kind)
	}
	switch bits := t.Kind.bits(); {
	case t.Kind == Nat:
		e.out = appendNat(e.out, n)
	case t.Kind == Int:
		e.out = appendInt(e.out, n)
	case t.Kind.signed() && (n.BitLen() >= bits && !isLowest(n, bits)), !t.Kind.signed() && n.BitLen() > bits:
		return fmt.Errorf("%s does not fit into %s", v.text, t.Kind)
	default:
		word := n.Uint64()
		if n.Sign() < 0 {
			word = uint64(n.Int64())
		}
		e.out = append(e.out, binary.LittleEndian.AppendUint64(nil, word)[:bits/8]...)
	}
	return nil
}

// maxDigits bounds a number that people write; reading it costs their square.
const maxDigits = 10_000

// parseInteger reads decimal, or hexadecimal after 0x. A leading zero means
// nothing.
func parseInteger(s string) (*big.Int, bool) {
	digits, sign := s, ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, digits = s[:1], s[1:]
	}
	base := 10
	if len(digits) > 2 && digits[:2] == "0x" {
		digits, base = digits[2:], 16
	}
	if len(digits) > maxDigits || digits == "" || digits[0] == '-' || digits[0] == '+' {
		return nil, false
	}
	return new(big.Int).SetString(sign+digits, base)
}

// isLowest tells whether n is -2^(bits-1).
func isLowest(n *big.Int, bits int) bool {
	return n.Sign() < 0 && n.BitLen() == bits && n.TrailingZeroBits() == uint(bits-1)
}

func (e *encoder) opt(v value, t *Type) error {
	switch v.form {
	case formNull:
		e.out = append(e.out, 0)
		return nil
	case formOpt:
		v = v.items[0]
	}
	e.out = append(e.out, 1)
	return e.value(v, t.Elem)
}

func (e *encoder) vec(v value, t *Type) error {
	if v.form == formBlob && t.Elem.resolved().Kind == Nat8 {
		e.out = appendText(e.out, v.text)
		return nil
	}
	if v.form != formVec {
		return mismatch(v, t)
	}
	e.out = binary.AppendUvarint(e.out, uint64(len(v.items)))
	for i, item := range v.items {
		if err := e.value(item, t.Elem); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func (f Field) String() string {
	if f.Name != "" {
		return f.Name
	}
	return strconv.FormatUint(uint64(f.ID), 10)
}

func (e *encoder) record(v value, t *Type) error {
	if v.form != formRecord {
		return mismatch(v, t)
	}
	given := make(map[uint32]value)
	for _, f := range v.fields {
		given[f.field.ID] = f.value
	}
	for _, f := range t.Fields {
		fv, ok := given[f.ID]
		if !ok && !nullable(f.Type) {
			return fmt.Errorf("field %s is missing", f)
		}
		if err := e.value(fv, f.Type); err != nil {
			return fmt.Errorf("field %s: %w", f, err)
		}
		delete(given, f.ID)
	}
	for _, f := range v.fields {
		if _, left := given[f.field.ID]; left {
			return fmt.Errorf("the record has no field %s", f.field)
		}
	}
	return nil
}

func (e *encoder) variant(v value, t *Type) error {
	if v.form != formVariant {
		return mismatch(v, t)
	}
	want := v.fields[0]
	for i, f := range t.Fields {
		if f.ID == want.field.ID {
			e.out = binary.AppendUvarint(e.out, uint64(i))
			if err := e.value(want.value, f.Type); err != nil {
				return fmt.Errorf("case %s: %w", f, err)
			}
			return nil
		}
	}
	return fmt.Errorf("the variant has no case %s", want.field)
}
