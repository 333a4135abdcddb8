;; The 32-bit forms see the same memory as the 64-bit ones.
;;
;; call: update t ; expect: reply u64 0
;; call: query q ; expect: reply u64 2
;; call: update u ; expect: reply u64 2
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_size" (func $stable64_size (result i64)))
  (import "ic0" "stable_size" (func $stable_size (result i32)))
  (import "ic0" "stable_grow" (func $stable_grow (param i32) (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (call $stable_grow (i32.const 2)))))
  (func (export "canister_query q")
    (call $answer (i64.extend_i32_u (call $stable_size))))
  (func (export "canister_update u")
    (call $answer (call $stable64_size)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
