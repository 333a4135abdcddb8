;; With a 64-bit memory, addresses and sizes are 64 bits wide.
;;
;; call: update t arg="argument" ; expect: reply "ument"
(module
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i64 i64 i64)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i64 i64)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory i64 1)
  (func (export "canister_update t")
    (call $msg_arg_data_copy (i64.const 8) (i64.const 3) (i64.const 5))
    (call $show (i64.const 8) (i64.const 5)))
  (func $show (param i64 i64) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
