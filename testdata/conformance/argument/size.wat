;; The argument has a size.
;;
;; call: update t arg="argument" ; expect: reply u64 8
;; call: update t ; expect: reply u64 0
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (call $msg_arg_data_size))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
