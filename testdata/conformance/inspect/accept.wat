;; canister_inspect_message lets a message pass by accepting it.
;;
;; call: inspect t arg="a" ; expect: accept
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "accept_message" (func $accept_message))
  (memory 1)
  (func (export "canister_inspect_message")
    (call $accept_message))
  (func (export "canister_update t")
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
