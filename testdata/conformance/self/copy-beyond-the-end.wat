;; Bytes beyond the end of the principal: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "canister_self_size" (func $canister_self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $canister_self_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $canister_self_copy (i32.const 0) (i32.const 1) (call $canister_self_size))))
