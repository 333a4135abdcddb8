;; The principal is the same in every message.
;;
;; call: update t ; expect: reply u64 1
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "canister_self_size" (func $canister_self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $canister_self_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_init")
    (call $canister_self_copy (i32.const 64) (i32.const 0) (call $canister_self_size)))
  (func (export "canister_update t")
    (call $canister_self_copy (i32.const 8) (i32.const 0) (call $canister_self_size))
    (call $answer (i64.extend_i32_u (i64.eq (i64.load (i32.const 8)) (i64.load (i32.const 64))))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
