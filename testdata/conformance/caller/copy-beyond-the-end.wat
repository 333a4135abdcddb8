;; Bytes beyond the end of the caller: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_caller_size" (func $msg_caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $msg_caller_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_caller_copy (i32.const 0) (i32.const 1) (call $msg_caller_size))))
