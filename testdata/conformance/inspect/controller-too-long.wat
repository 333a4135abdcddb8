;; A principal has at most 29 bytes: 30 trap.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "is_controller" (func $is_controller (param i32 i32) (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $is_controller (i32.const 100) (i32.const 30)))))
