;; A part of the argument is copied: from an offset, as many bytes as asked for.
;;
;; call: update t arg="argument" ; expect: reply "ument"
(module
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_arg_data_copy (i32.const 8) (i32.const 3) (i32.const 5))
    (call $show (i32.const 8) (i32.const 5)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
