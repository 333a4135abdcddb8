;; A composite query cannot be called as an update: there is no such method.
;;
;; call: update t ; expect: missing
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (table 4 funcref)
  (elem (i32.const 0) $on_reply $on_reject $on_cleanup)
  (memory 1)
  (data (i32.const 100) "echo")
  (data (i32.const 110) "refuse")
  (data (i32.const 120) "break")
  (data (i32.const 130) "missing")
  (data (i32.const 140) "look")
  (func $on_reply (param i32))
  (func $on_reject (param i32))
  (func $on_cleanup (param i32))
  (func (export "canister_composite_query t")
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
