;; An upgrade keeps stable memory and starts with a fresh memory of its own.
;;
;; call: update t ; expect: reply ""
;; call: upgrade ; expect: ok
;; call: query q ; expect: reply "hello" u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable64_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable64_read (param i64 i64 i64)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (i64.store (i32.const 16) (i64.const 9))
    (drop (call $stable64_grow (i64.const 1)))
    (call $stable64_write (i64.const 0) (i64.const 100) (i64.const 5))
    (call $msg_reply))
  (func (export "canister_query q")
    (call $stable64_read (i64.const 8) (i64.const 0) (i64.const 5))
    (call $msg_reply_data_append (i32.const 8) (i32.const 5))
    (call $answer (i64.load (i32.const 16))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
