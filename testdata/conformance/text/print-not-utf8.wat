;; debug_print takes bytes that are not UTF-8.
;;
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "debug_print" (func $debug_print (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "\c3\28")
  (func (export "canister_update t")
    (call $debug_print (i32.const 100) (i32.const 2))
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
