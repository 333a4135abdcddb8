package fsm

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"lockstep/memstore"
)

// The little of Candid that the management canister speaks (dfinity/candid, spec/Candid.md).

// Opcodes of types.
const (
	candidNull      = 0x7f
	candidNat       = 0x7d
	candidNat8      = 0x7b
	candidOpt       = 0x6e
	candidVec       = 0x6d
	candidRecord    = 0x6c
	candidVariant   = 0x6b
	candidPrincipal = 0x68
)

const candidMagic = "DIDL"

func candidHash(name string) uint32 {
	h := uint32(0)
	for _, b := range []byte(name) {
		h = h*223 + uint32(b)
	}
	return h
}

func candidBlob(b []byte) []byte {
	out := append([]byte(candidMagic), 1, candidVec, candidNat8, 1, 0)
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

var errCandidArgument = errors.New("the argument must be a record with a canister_id and nothing else")

// candidCanisterID reads record { canister_id : principal }, in the only encoding that has no field more.
func candidCanisterID(data []byte) ([]byte, error) {
	head := append([]byte(candidMagic), 1, candidRecord, 1)
	head = binary.AppendUvarint(head, uint64(candidHash("canister_id")))
	head = append(head, candidPrincipal, 1, 0, 1) // one argument of type 0; the principal is given, not hidden
	if len(data) < len(head)+1 || string(data[:len(head)]) != string(head) || int(data[len(head)]) != len(data)-len(head)-1 {
		return nil, errCandidArgument
	}
	return data[len(head)+1:], nil
}

// candidField is a field of a record: its type as the type table refers to it, and its value; or a case of a variant.
type candidField struct {
	name  string
	typ   byte
	value []byte
}

// candidFields gives the type and the value of a record, or the type of a variant.
func candidFields(opcode byte, fields []candidField) (typ, value []byte) {
	slices.SortFunc(fields, func(a, b candidField) int { return cmp.Compare(candidHash(a.name), candidHash(b.name)) })
	typ = []byte{opcode, byte(len(fields))}
	for _, f := range fields {
		typ = append(binary.AppendUvarint(typ, uint64(candidHash(f.name))), f.typ)
		value = append(value, f.value...)
	}
	return typ, value
}

func candidNumber(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// candidStatus is the answer of canister_status. What belongs to cycles and subnets is zero.
func (c *canisterRecord) candidStatus() []byte {
	zero := candidNumber(0)
	lives := []candidField{{Running.String(), candidNull, nil}, {Stopping.String(), candidNull, nil}, {Stopped.String(), candidNull, nil}}
	lifeType, _ := candidFields(candidVariant, lives)
	life := slices.IndexFunc(lives, func(f candidField) bool { return f.name == c.Life.String() })
	controllers := candidNumber(uint64(len(c.Controllers)))
	for _, p := range c.Controllers {
		controllers = append(append(append(controllers, 1), candidNumber(uint64(len(p)))...), p...)
	}
	// The type table: 0 the answer, 1 controllers, 2 settings, 3 life, 4 blob, 5 opt blob, 6 query statistics.
	settingsType, settings := candidFields(candidRecord, []candidField{{"controllers", 1, controllers}, {"compute_allocation", candidNat, zero},
		{"memory_allocation", candidNat, zero}, {"freezing_threshold", candidNat, zero}, {"reserved_cycles_limit", candidNat, zero},
		{"wasm_memory_limit", candidNat, zero}, {"wasm_memory_threshold", candidNat, zero}})
	statsType, stats := candidFields(candidRecord, []candidField{{"num_calls_total", candidNat, zero}, {"num_instructions_total", candidNat, zero},
		{"request_payload_bytes_total", candidNat, zero}, {"response_payload_bytes_total", candidNat, zero}})
	state := c.live.State()
	size := (uint64(state.Memory.Size)+uint64(state.Stable.Size))*memstore.PageSize + c.CodeBytes
	answerType, answer := candidFields(candidRecord, []candidField{{"status", 3, []byte{byte(life)}}, {"settings", 2, settings},
		{"module_hash", 5, append([]byte{1, byte(len(c.Module))}, c.Module[:]...)}, {"memory_size", candidNat, candidNumber(size)},
		{"cycles", candidNat, zero}, {"reserved_cycles", candidNat, zero}, {"idle_cycles_burned_per_day", candidNat, zero}, {"query_stats", 6, stats}})
	out := append([]byte(candidMagic), 7)
	for _, typ := range [][]byte{answerType, {candidVec, candidPrincipal}, settingsType, lifeType, {candidVec, candidNat8}, {candidOpt, 4}, statsType} {
		out = append(out, typ...)
	}
	return append(append(out, 1, 0), answer...)
}
