package candid

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Values of recursive types end below shallow: nothing where that is possible, else a case of a variant that holds no more.
const (
	shallow    = 4
	deepest    = 32
	exampleVec = 4 // elements, fewer than that
)

// Example makes arguments of some types, as Encode takes them, drawn from r: small numbers more often than large ones, short
// texts and lists. A type that has no values gets null, which Encode refuses.
func Example(types []*Type, r *rand.Rand) string {
	e := example{r}
	values := make([]string, len(types))
	for i, t := range types {
		values[i] = e.value(t, 0)
	}
	return "(" + strings.Join(values, ", ") + ")"
}

type example struct{ *rand.Rand }

func (e example) value(t *Type, depth int) string {
	if t = t.resolved(); depth > deepest {
		return "null"
	}
	switch t.Kind {
	case Bool:
		return strconv.FormatBool(e.IntN(2) == 0)
	case Text:
		return strconv.Quote("key" + strconv.Itoa(e.IntN(100)))
	case Float32, Float64:
		return strconv.FormatFloat(float64(e.IntN(2001)-1000)/8, 'f', 3, 64)
	case Principal:
		return `principal "2vxsx-fae"`
	case Service:
		return `service "aaaaa-aa"`
	case Func:
		return `func "aaaaa-aa".raw_rand`
	case Opt:
		if depth > shallow || e.IntN(2) == 0 {
			return "null"
		}
		return "opt (" + e.value(t.Elem, depth+1) + ")"
	case Vec:
		return e.vec(t.Elem, depth)
	case Record:
		fields := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = fieldName(f) + " = " + e.value(f.Type, depth+1)
		}
		return "record { " + strings.Join(fields, "; ") + " }"
	case Variant:
		return e.variant(t, depth)
	case Null, Reserved, Empty:
		return "null"
	}
	return e.number(t.Kind)
}

// number is of a kind of integers.
func (e example) number(k Kind) string {
	bits := 64
	if b := k.bits(); b > 0 {
		bits = b
	}
	if k.signed() {
		bits--
	}
	n := uint64(e.IntN(100))
	if e.IntN(8) == 0 {
		n = e.Uint64() >> (64 - bits)
	}
	if k.signed() && e.IntN(4) == 0 {
		return "-" + strconv.FormatUint(n, 10)
	}
	return strconv.FormatUint(n, 10)
}

func (e example) vec(elem *Type, depth int) string {
	n := e.IntN(exampleVec)
	if depth > shallow {
		n = 0
	}
	if elem.resolved().Kind == Nat8 {
		text := `blob "`
		for range n {
			text += fmt.Sprintf(`\%02x`, e.IntN(256))
		}
		return text + `"`
	}
	values := make([]string, n)
	for i := range values {
		values[i] = e.value(elem, depth+1)
	}
	return "vec { " + strings.Join(values, "; ") + " }"
}

func (e example) variant(t *Type, depth int) string {
	if len(t.Fields) == 0 {
		return "null"
	}
	f := t.Fields[e.IntN(len(t.Fields))]
	for _, plain := range t.Fields {
		if k := plain.Type.resolved().Kind; depth > shallow && k != Record && k != Variant {
			f = plain
			break
		}
	}
	return "variant { " + fieldName(f) + " = " + e.value(f.Type, depth+1) + " }"
}

func fieldName(f Field) string {
	if f.Name == "" {
		return strconv.FormatUint(uint64(f.ID), 10)
	}
	d := newDecoder(nil, nil)
	d.name(f.Name)
	return d.out.String()
}
