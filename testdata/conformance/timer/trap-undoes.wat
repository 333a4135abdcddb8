;; A trap undoes the setting of the timer.
;;
;; call: update t ; expect: trap
;; call: update u ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "global_timer_set" (func $global_timer_set (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $global_timer_set (i64.const 9000000000000000000)))
    unreachable)
  (func (export "canister_update u")
    (call $answer (call $global_timer_set (i64.const 0))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
