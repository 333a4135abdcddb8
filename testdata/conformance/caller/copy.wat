;; The caller is known as bytes.
;;
;; call: update t ; expect: reply "caller"
;; call: query q ; expect: reply "caller"
(module
  (import "ic0" "msg_caller_size" (func $msg_caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $msg_caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_caller_copy (i32.const 8) (i32.const 0) (call $msg_caller_size))
    (call $show (i32.const 8) (call $msg_caller_size)))
  (func (export "canister_query q")
    (call $msg_caller_copy (i32.const 8) (i32.const 0) (call $msg_caller_size))
    (call $show (i32.const 8) (call $msg_caller_size)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
