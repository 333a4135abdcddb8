;; With more than 4 GiB of stable memory the 32-bit form of read traps; the 64-bit one goes on.
;;
;; call: update t ; expect: trap
;; call: query q ; expect: reply u64 65537
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_size" (func $stable64_size (result i64)))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (import "ic0" "stable_read" (func $stable_read (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_init")
    (drop (call $stable64_grow (i64.const 65537))))
  (func (export "canister_update t")
    (call $stable_read (i32.const 0) (i32.const 0) (i32.const 0)))
  (func (export "canister_query q")
    (call $answer (call $stable64_size)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
