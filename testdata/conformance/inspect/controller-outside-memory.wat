;; A principal outside memory: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "is_controller" (func $is_controller (param i32 i32) (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $is_controller (i32.const 65535) (i32.const 2)))))
