;; Writing from beyond the canister's memory: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "stable_grow" (func $stable_grow (param i32) (result i32)))
  (import "ic0" "stable_write" (func $stable_write (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $stable_grow (i32.const 1)))
    (call $stable_write (i32.const 0) (i32.const 65533) (i32.const 4))))
