;; If canister_post_upgrade traps, everything is as before: stable memory, memory and version.
;;
;; call: update t ; expect: reply ""
;; call: upgrade ; expect: trap
;; call: query q ; expect: reply u64 0 u64 9
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_size" (func $stable64_size (result i64)))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (i64.store (i32.const 16) (i64.const 9))
    (call $msg_reply))
  (func (export "canister_pre_upgrade")
    (drop (call $stable64_grow (i64.const 1))))
  (func (export "canister_post_upgrade")
    unreachable)
  (func (export "canister_query q")
    (i64.store (i32.const 24) (call $stable64_size))
    (call $msg_reply_data_append (i32.const 24) (i32.const 8))
    (call $answer (i64.load (i32.const 16))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
