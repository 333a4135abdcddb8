;; The counters are a function of the work: a second message that does the same counts the same.
;;
;; call: update t ; expect: reply ""
;; call: update t ; expect: reply ""
;; call: query q ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "performance_counter" (func $performance_counter (param i32) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (i64.store (i32.const 8) (i64.load (i32.const 16)))
    (i64.store (i32.const 16) (call $performance_counter (i32.const 0)))
    (call $msg_reply))
  (func (export "canister_query q")
    (call $answer (i64.sub (i64.load (i32.const 8)) (i64.load (i32.const 16)))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
