;; What the 32-bit form wrote, both forms read.
;;
;; call: update t ; expect: reply ""
;; call: query q ; expect: reply "hello"
;; call: query r ; expect: reply "ello"
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_read" (func $stable64_read (param i64 i64 i64)))
  (import "ic0" "stable_grow" (func $stable_grow (param i32) (result i32)))
  (import "ic0" "stable_write" (func $stable_write (param i32 i32 i32)))
  (import "ic0" "stable_read" (func $stable_read (param i32 i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (drop (call $stable_grow (i32.const 2)))
    (call $stable_write (i32.const 65534) (i32.const 100) (i32.const 5))
    (call $msg_reply))
  (func (export "canister_query q")
    (call $stable_read (i32.const 8) (i32.const 65534) (i32.const 5))
    (call $show (i32.const 8) (i32.const 5)))
  (func (export "canister_query r")
    (call $stable64_read (i64.const 8) (i64.const 65535) (i64.const 4))
    (call $show (i32.const 8) (i32.const 4)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
