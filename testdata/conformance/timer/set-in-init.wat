;; canister_init may set the timer.
;;
;; call: install ; expect: ok
;; call: update t ; expect: reply u64 9000000000000000000
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "global_timer_set" (func $global_timer_set (param i64) (result i64)))
  (memory 1)
  (func (export "canister_init")
    (drop (call $global_timer_set (i64.const 9000000000000000000))))
  (func (export "canister_update t")
    (call $answer (call $global_timer_set (i64.const 0))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
