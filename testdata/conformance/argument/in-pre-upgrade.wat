;; canister_pre_upgrade has no argument: traps, and the upgrade does not happen.
;;
;; call: upgrade arg="abc" ; expect: trap
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_pre_upgrade")
    (drop (call $msg_arg_data_size)))
  (func (export "canister_update t")
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
