;; msg_method_name_size is for canister_inspect_message only: an update traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_method_name_size" (func $msg_method_name_size (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $msg_method_name_size))))
