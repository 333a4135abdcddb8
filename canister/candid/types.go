package candid

import "sort"

// Kind is a constructor of types, numbered as in the binary format.
type Kind int64

// The kinds.
const (
	Null      Kind = -1
	Bool      Kind = -2
	Nat       Kind = -3
	Int       Kind = -4
	Nat8      Kind = -5
	Nat16     Kind = -6
	Nat32     Kind = -7
	Nat64     Kind = -8
	Int8      Kind = -9
	Int16     Kind = -10
	Int32     Kind = -11
	Int64     Kind = -12
	Float32   Kind = -13
	Float64   Kind = -14
	Text      Kind = -15
	Reserved  Kind = -16
	Empty     Kind = -17
	Opt       Kind = -18
	Vec       Kind = -19
	Record    Kind = -20
	Variant   Kind = -21
	Func      Kind = -22
	Service   Kind = -23
	Principal Kind = -24
)

// Type is a Candid type. Types may refer to themselves.
type Type struct {
	Kind   Kind
	Elem   *Type   // of Opt and Vec
	Fields []Field // of Record and Variant, by rising id
	Func   *Method // of Func

	name string // of a type that is not resolved yet
	ref  *Type  // what a named type is
}

// Field is one of a record or variant.
type Field struct {
	ID   uint32
	Name string // empty if it is known by its number only
	Type *Type
}

// Method is the type of a function, or of a method of a service.
type Method struct {
	Args, Results []*Type
	Modes         []string // query, oneway, composite_query
}

// Hash is the id of a field by its name.
func Hash(name string) uint32 {
	var h uint32
	for i := range len(name) {
		h = h*223 + uint32(name[i])
	}
	return h
}

// primitives by the names that text gives them.
var primitives = map[string]Kind{
	"null": Null, "bool": Bool, "nat": Nat, "int": Int, "nat8": Nat8, "nat16": Nat16, "nat32": Nat32, "nat64": Nat64,
	"int8": Int8, "int16": Int16, "int32": Int32, "int64": Int64, "float32": Float32, "float64": Float64, "text": Text,
	"reserved": Reserved, "empty": Empty, "principal": Principal,
}

var kindNames = func() map[Kind]string {
	names := map[Kind]string{Opt: "opt", Vec: "vec", Record: "record", Variant: "variant", Func: "func", Service: "service"}
	for name, k := range primitives {
		names[k] = name
	}
	return names
}()

func (k Kind) String() string { return kindNames[k] }

// bits is the width of a number of fixed size, 0 for other kinds.
func (k Kind) bits() int {
	switch k {
	case Nat8, Int8:
		return 8
	case Nat16, Int16:
		return 16
	case Nat32, Int32:
		return 32
	case Nat64, Int64:
		return 64
	}
	return 0
}

func (k Kind) signed() bool { return k == Int || k <= Int8 && k >= Int64 }

// resolved follows names.
func (t *Type) resolved() *Type {
	for t.ref != nil {
		t = t.ref
	}
	return t
}

// sortFields puts fields in order of id; false if two have the same.
func sortFields(fields []Field) bool {
	sort.Slice(fields, func(i, j int) bool { return fields[i].ID < fields[j].ID })
	for i := 1; i < len(fields); i++ {
		if fields[i].ID == fields[i-1].ID {
			return false
		}
	}
	return true
}
