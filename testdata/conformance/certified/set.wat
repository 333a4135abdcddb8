;; Up to 32 bytes can be certified.
;;
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "certified_data_set" (func $certified_data_set (param i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $certified_data_set (i32.const 0) (i32.const 32))
    (call $certified_data_set (i32.const 0) (i32.const 0))
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
