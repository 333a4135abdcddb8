;; in_replicated_execution tells updates, and query methods that run as updates, from queries.
;;
;; call: update t ; expect: reply u64 1
;; call: query q ; expect: reply u64 0
;; call: update q ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "in_replicated_execution" (func $in_replicated_execution (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (call $in_replicated_execution))))
  (func (export "canister_query q")
    (call $answer (i64.extend_i32_u (call $in_replicated_execution))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
