;; Offset and size are unsigned and do not wrap: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "stable_grow" (func $stable_grow (param i32) (result i32)))
  (import "ic0" "stable_read" (func $stable_read (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $stable_grow (i32.const 1)))
    (call $stable_read (i32.const 0) (i32.const -4) (i32.const 8))))
