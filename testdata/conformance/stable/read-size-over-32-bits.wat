;; The size is not cut to 32 bits: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $stable64_read (param i64 i64 i64)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $stable64_grow (i64.const 1)))
    (call $stable64_read (i64.const 0) (i64.const 0) (i64.const 0x100000001))))
