package pagetrie

import (
	"encoding/binary"
	"maps"
	"testing"
)

// FuzzOperations reads a program over three maps, each beside a model, and checks all of them after every step.
// An instruction is 4 bytes: operation and registers, how the key is spread, and two bytes of key.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 1, 60, 255, 1, 3, 0, 0, 40, 4, 0, 0, 0, 6, 0, 0, 0})
	run := []byte{}
	for i := range byte(40) {
		run = append(run, i%3<<3|i%2, i/8, 0, i)
	}
	f.Add(run)
	f.Fuzz(func(t *testing.T, program []byte) {
		var maps3 [3]Map
		models := [3]map[uint64]Value{{}, {}, {}}
		for len(program) >= 4 && len(models[0])+len(models[1])+len(models[2]) < 500 {
			op, to, from := program[0]%7, program[0]>>3%3, program[0]>>5%3
			number := uint64(binary.LittleEndian.Uint16(program[2:]))
			key := number << (program[1] % 64)
			if program[1]&64 != 0 {
				key = ^key
			}
			maps3[to], models[to] = step(maps3[to], models[to], maps3[from], models[from], op, key)
			mustEqual(t, maps3[to], models[to])
			program = program[4:]
		}
		for i, m := range maps3 {
			mustEqual(t, m, models[i])
		}
	})
}

// step is one instruction, on a map and on a copy of its model.
func step(m Map, model map[uint64]Value, other Map, others map[uint64]Value, op byte, key uint64) (Map, map[uint64]Value) {
	model = maps.Clone(model)
	switch op {
	case 0:
		model[key] = Value(key)
		return m.Insert(key, Value(key)), model
	case 1: // a run of 20
		edit := m.Edit()
		for k := range uint64(20) {
			model[key+k] = 9
			edit.Insert(key+k, 9)
		}
		return edit.Map(), model
	case 2:
		delete(model, key)
		return m.Remove(key), model
	case 3: // everything in 20 keys
		edit := m.Edit()
		for k := range uint64(20) {
			delete(model, key+k)
			edit.Remove(key + k)
		}
		return edit.Map(), model
	case 4:
		union := maps.Clone(others)
		maps.Copy(union, model)
		return Union(m, other), union
	case 5:
		maps.DeleteFunc(model, func(k uint64, _ Value) bool { _, has := others[k]; return has })
		return Difference(m, other), model
	}
	maps.DeleteFunc(model, func(k uint64, _ Value) bool { _, has := others[k]; return !has })
	return Intersection(m, other), model
}

// FuzzProof gives arbitrary proofs to Verify: it must not panic, and must not accept.
func FuzzProof(f *testing.F) {
	m := keys(3000, func(i uint64) uint64 { return i * 40 })
	root := m.Root(testHasher{})
	f.Add(uint64(80), uint64(0), uint8(5), uint32(0), uint8(3), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, key, base uint64, shift uint8, used uint32, kind, hashes, at uint8) {
		p := m.Prove(key, testHasher{})
		want, has, err := p.Verify(root, key)
		if err != nil {
			t.Fatal(err)
		}
		s := &p.Path[int(at)%len(p.Path)]
		s.Base, s.Shift, s.Used, s.Kind = base, shift, used, Kind(kind)
		s.Hashes = s.Hashes[:min(int(hashes), len(s.Hashes))]
		s.Groups = s.Groups[:min(int(hashes>>4), len(s.Groups))]
		if got, ok, err := p.Verify(root, key); err == nil && (got != want || ok != has) {
			t.Fatalf("forged proof shows %v, %v", got, ok)
		}
	})
}
