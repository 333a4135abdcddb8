;; No bytes at the very end of both memories are still inside.
;;
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable64_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable64_read (param i64 i64 i64)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $stable64_grow (i64.const 1)))
    (call $stable64_read (i64.const 65536) (i64.const 65536) (i64.const 0))
    (call $stable64_write (i64.const 65536) (i64.const 65536) (i64.const 0))
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
