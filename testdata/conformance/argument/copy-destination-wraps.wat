;; Destination and size do not wrap either: traps.
;;
;; call: update t arg="argument" ; expect: trap
(module
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_arg_data_copy (i32.const -4) (i32.const 0) (i32.const 8))))
