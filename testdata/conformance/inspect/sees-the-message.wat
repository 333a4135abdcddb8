;; It sees the method's name and the argument, and may decide by them.
;;
;; call: inspect t arg="argument" ; expect: accept
;; call: inspect tt arg="argument" ; expect: refuse
;; call: inspect t arg="a" ; expect: refuse
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "msg_method_name_size" (func $msg_method_name_size (result i32)))
  (import "ic0" "msg_method_name_copy" (func $msg_method_name_copy (param i32 i32 i32)))
  (import "ic0" "accept_message" (func $accept_message))
  (memory 1)
  (func (export "canister_inspect_message")
    (call $msg_method_name_copy (i32.const 8) (i32.const 0) (i32.const 1))
    (if (i32.and (i32.and (i32.eq (call $msg_method_name_size) (i32.const 1)) (i32.eq (call $msg_arg_data_size) (i32.const 8))) (i32.eq (i32.load8_u (i32.const 8)) (i32.const 116)))
      (then (call $accept_message))))
  (func (export "canister_update t")
    (call $answer (i64.const 1)))
  (func (export "canister_update tt")
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
