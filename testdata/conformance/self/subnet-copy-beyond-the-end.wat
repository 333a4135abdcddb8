;; Bytes beyond the end of the subnet's principal: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "subnet_self_size" (func $subnet_self_size (result i32)))
  (import "ic0" "subnet_self_copy" (func $subnet_self_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $subnet_self_copy (i32.const 0) (i32.const 1) (call $subnet_self_size))))
