package canister

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"lockstep/memstore"
)

// stableWAT does as its argument says, three numbers of 64 bits: 0 grow by the
// second; 1 write the bytes after them at the second; 2 read the third's
// number of bytes at the second and reply with them. Method fail traps after it.
const stableWAT = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $argsize (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $argcopy (param i32 i32 i32)))
  (import "ic0" "stable64_size" (func $size (result i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (memory 4)
  (func $do (local $op i64) (local $a i64) (local $n i64)
    (call $argcopy (i32.const 0) (i32.const 0) (call $argsize))
    (local.set $op (i64.load (i32.const 0))) (local.set $a (i64.load (i32.const 8))) (local.set $n (i64.load (i32.const 16)))
    (if (i64.eq (local.get $op) (i64.const 0)) (then (i64.store (i32.const 0) (call $grow (local.get $a))) (call $append (i32.const 0) (i32.const 8))))
    (if (i64.eq (local.get $op) (i64.const 1)) (then
      (call $write (local.get $a) (i64.const 24) (i64.sub (i64.extend_i32_u (call $argsize)) (i64.const 24)))))
    (if (i64.eq (local.get $op) (i64.const 2)) (then
      (call $read (i64.const 0) (local.get $a) (local.get $n)) (call $append (i32.const 0) (i32.wrap_i64 (local.get $n)))))
    (if (i64.eq (local.get $op) (i64.const 3)) (then (i64.store (i32.const 0) (call $size)) (call $append (i32.const 0) (i32.const 8)))))
  (func (export "canister_update do") (call $do) (call $reply))
  (func (export "canister_query look") (call $do) (call $reply))
  (func (export "canister_update fail") (call $do) unreachable))`

func stableOp(op, a, n uint64, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, op)
	b = binary.LittleEndian.AppendUint64(b, a)
	b = binary.LittleEndian.AppendUint64(b, n)
	return append(b, data...)
}

// TestStableMemory holds stable memory against plain bytes, on several
// replicas, one of which is restored now and then; what failed left nothing.
func TestStableMemory(t *testing.T) {
	setups := allSetups()
	for i := range setups {
		setups[i].limits.StableBytes = 10 * memstore.WasmPageSize
	}
	q := newQueue(t, wat(t, stableWAT), setups...)
	r := rand.New(rand.NewPCG(1, 2))
	var model []byte
	for n := range 300 {
		at, size := uint64(r.IntN(len(model)+5000)), uint64(r.IntN(9000))
		inside := at+size <= uint64(len(model))
		data := bytes.Repeat([]byte{byte(r.IntN(3))}, int(size)) // zeros too
		switch op := r.IntN(8); op {
		case 0:
			pages := uint64(r.IntN(4))
			reply := int64(len(model) / memstore.WasmPageSize)
			if reply+int64(pages) > 10 {
				reply = -1
			}
			if r.IntN(2) == 0 {
				want(t, q.update("fail", stableOp(0, pages, 0, "")), Trapped, "unreachable")
				continue
			}
			want(t, q.update("do", stableOp(0, pages, 0, "")), Replied, string(binary.LittleEndian.AppendUint64(nil, uint64(reply))))
			if reply >= 0 {
				model = append(model, make([]byte, pages*memstore.WasmPageSize)...)
			}
		case 1, 2, 3:
			if !inside {
				want(t, q.update("do", stableOp(1, at, 0, string(data))), Trapped,
					fmt.Sprintf("%d bytes at %d are outside the stable memory of %d bytes", size, at, len(model)))
				continue
			}
			want(t, q.update("do", stableOp(1, at, 0, string(data))), Replied, "")
			copy(model[at:], data)
		case 4:
			if inside {
				want(t, q.update("fail", stableOp(1, at, 0, string(data))), Trapped, "unreachable")
			}
		case 5:
			if inside {
				want(t, q.rigs[n%3].query("look", string(stableOp(1, at, 0, string(data)))), Replied, "")
			}
		case 6:
			if inside {
				want(t, q.update("do", stableOp(2, at, size, "")), Replied, string(model[at:at+size]))
			}
		case 7:
			q.rigs[2] = q.rigs[0].replica(setups[2], q.rigs[0].State())
		}
	}
	if len(model) < 5*memstore.WasmPageSize {
		t.Error("the memory hardly grew")
	}
	for _, rig := range q.rigs {
		s := rig.State()
		for i := memstore.PageIndex(0); i < memstore.PageIndex(s.Stable.Size); i++ {
			page := model[i*memstore.PageSize:][:memstore.PageSize]
			h, ok := s.Stable.Pages.Get(uint64(i))
			if ok != !bytes.Equal(page, zeroPage[:]) || ok && !bytes.Equal(rig.config.Store.Page(h), page) {
				t.Fatalf("page %d differs", i)
			}
		}
	}
	if live := q.rigs[0].config.Store.Stats().Live; live != uint64(q.rigs[0].State().Stable.Pages.Len()+q.rigs[0].State().Memory.Pages.Len()) {
		t.Errorf("%d pages live", live)
	}
}

// TestStableIsPaid: fuel pays for pages, and a state without stable memory
// differs from one with.
func TestStableIsPaid(t *testing.T) {
	r := install(t, plainSetup(), wat(t, stableWAT))
	empty := r.root()
	r.update("do", string(stableOp(0, 2, 0, "")))
	grown := r.root()
	r.update("do", string(stableOp(1, 70000, 0, "x")))
	if written := r.root(); empty == grown || grown == written {
		t.Error("roots do not tell stable memories apart")
	}
	one := r.update("do", string(stableOp(2, 4096, 8, "")))
	two := r.update("do", string(stableOp(2, 4092, 8, "")))
	many := r.update("do", string(stableOp(2, 0, 80000, "")))
	if two.Fuel-one.Fuel != 100 || many.Fuel < one.Fuel+20*100+80000/16 {
		t.Errorf("fuel %d, %d, %d", one.Fuel, two.Fuel, many.Fuel)
	}
}

// BenchmarkStable writes and reads stable memory.
func BenchmarkStable(b *testing.B) {
	for _, c := range []struct {
		op    uint64
		bytes int
	}{{1, 8}, {1, 4096}, {1, 65536}, {2, 8}, {2, 65536}} {
		b.Run(fmt.Sprintf("op=%d/bytes=%d", c.op, c.bytes), func(b *testing.B) {
			r := install(b, plainSetup(), wat(b, stableWAT))
			r.update("do", string(stableOp(0, 100, 0, "")))
			arg := stableOp(c.op, 8192, uint64(c.bytes), "")
			if c.op == 1 {
				arg = append(arg, make([]byte, c.bytes)...)
			}
			for n := 0; b.Loop(); n++ {
				if c.op == 1 {
					arg[24] = byte(n)
				}
				r.update("do", string(arg))
			}
		})
	}
}
