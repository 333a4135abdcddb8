;; A principal that does not control the canister: 0.
;;
;; call: update t ; expect: reply u64 0
;; call: query q ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "is_controller" (func $is_controller (param i32 i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (call $is_controller (i32.const 100) (i32.const 5)))))
  (func (export "canister_query q")
    (call $answer (i64.extend_i32_u (call $is_controller (i32.const 100) (i32.const 5)))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
