;; A timer is unsigned: the largest value is never, and is given back as it was set.
;;
;; call: update t ; expect: reply u64 0
;; call: timer ; expect: idle
;; call: update t ; expect: reply u64 18446744073709551615
;; call: query q ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "global_timer_set" (func $global_timer_set (param i64) (result i64)))
  (memory 1)
  (func (export "canister_global_timer")
    (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1))))
  (func (export "canister_update t")
    (call $answer (call $global_timer_set (i64.const -1))))
  (func (export "canister_query q")
    (call $answer (i64.load (i32.const 8))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
