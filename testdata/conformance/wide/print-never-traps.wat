;; debug_print takes any address and size.
;;
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i64 i64)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "debug_print" (func $debug_print (param i64 i64)))
  (memory i64 1)
  (func (export "canister_update t")
    (call $debug_print (i64.const -1) (i64.const -1))
    (call $debug_print (i64.const 0x100000000) (i64.const 5))
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i64.const 0) (local.get 0))
    (call $msg_reply_data_append (i64.const 0) (i64.const 8))
    (call $msg_reply)))
