;; What was written can be read, across pages and in later messages.
;;
;; call: update t ; expect: reply ""
;; call: query q ; expect: reply "hello"
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable64_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable64_read (param i64 i64 i64)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (drop (call $stable64_grow (i64.const 2)))
    (call $stable64_write (i64.const 65534) (i64.const 100) (i64.const 5))
    (call $msg_reply))
  (func (export "canister_query q")
    (call $stable64_read (i64.const 8) (i64.const 65534) (i64.const 5))
    (call $show (i32.const 8) (i32.const 5)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
