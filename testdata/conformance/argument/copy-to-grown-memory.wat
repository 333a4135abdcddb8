;; Memory that this message has grown can be written at once.
;;
;; call: update t arg="argument" ; expect: reply "argument"
(module
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (drop (memory.grow (i32.const 1)))
    (call $msg_arg_data_copy (i32.const 65532) (i32.const 0) (i32.const 8))
    (call $show (i32.const 65532) (i32.const 8)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
