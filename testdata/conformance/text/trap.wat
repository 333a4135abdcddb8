;; trap stops the message with a text, and its changes are undone.
;;
;; call: update t ; expect: trap "hello"
;; call: query q ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (i64.store (i32.const 8) (i64.const 1))
    (call $trap (i32.const 100) (i32.const 5))
    (call $msg_reply))
  (func (export "canister_query q")
    (call $answer (i64.load (i32.const 8))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
