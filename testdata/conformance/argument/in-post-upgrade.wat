;; canister_post_upgrade sees the argument of the upgrade.
;;
;; call: upgrade arg="abc" ; expect: ok
;; call: query t ; expect: reply "abc"
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_post_upgrade")
    (call $msg_arg_data_copy (i32.const 8) (i32.const 0) (call $msg_arg_data_size)))
  (func (export "canister_query t")
    (call $show (i32.const 8) (i32.const 3)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
