;; The start function runs replicated.
;;
;; call: install ; expect: ok
;; call: query q ; expect: reply u64 1
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "in_replicated_execution" (func $in_replicated_execution (result i32)))
  (memory 1)
  (global $seen (mut i64) (i64.const 7))
  (func $start (global.set $seen (i64.extend_i32_u (call $in_replicated_execution))))
  (start $start)
  (func (export "canister_query q")
    (call $answer (global.get $seen)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
