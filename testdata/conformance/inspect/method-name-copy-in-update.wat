;; msg_method_name_copy is for canister_inspect_message only: an update traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_method_name_copy" (func $msg_method_name_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_method_name_copy (i32.const 0) (i32.const 0) (i32.const 0))))
