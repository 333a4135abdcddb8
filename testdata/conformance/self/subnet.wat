;; The subnet has a principal of at most 29 bytes, which can be copied whole.
;;
;; call: update t ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "subnet_self_size" (func $subnet_self_size (result i32)))
  (import "ic0" "subnet_self_copy" (func $subnet_self_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $subnet_self_copy (i32.const 8) (i32.const 0) (call $subnet_self_size))
    (call $answer (i64.extend_i32_u (i32.le_u (call $subnet_self_size) (i32.const 29)))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
