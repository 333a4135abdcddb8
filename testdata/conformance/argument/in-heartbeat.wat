;; A heartbeat has no argument: traps, and what it did before is undone.
;;
;; call: heartbeat ; expect: trap
;; call: query t ; expect: reply u64 0
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_heartbeat")
    (i64.store (i32.const 8) (i64.const 7))
    (drop (call $msg_arg_data_size)))
  (func (export "canister_query t")
    (call $answer (i64.load (i32.const 8))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
