;; Sizes are 64 bits wide.
;;
;; call: update t arg="argument" ; expect: reply u64 8
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i64)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i64 i64)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory i64 1)
  (func (export "canister_update t")
    (call $answer (call $msg_arg_data_size)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i64.const 0) (local.get 0))
    (call $msg_reply_data_append (i64.const 0) (i64.const 8))
    (call $msg_reply)))
