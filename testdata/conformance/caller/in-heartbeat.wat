;; The caller of a system task is the management canister, whose principal has no bytes.
;;
;; call: heartbeat ; expect: ok
;; call: query t ; expect: reply u64 0
(module
  (import "ic0" "msg_caller_size" (func $msg_caller_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (data (i32.const 8) "\ff\ff\ff\ff\ff\ff\ff\ff")
  (func (export "canister_heartbeat")
    (i64.store (i32.const 8) (i64.extend_i32_u (call $msg_caller_size))))
  (func (export "canister_query t")
    (call $answer (i64.load (i32.const 8))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
