;; There are no environment variables.
;;
;; call: update t ; expect: reply u64 0
;; call: query q ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "env_var_count" (func $env_var_count (result i32)))
  (import "ic0" "env_var_name_exists" (func $env_var_name_exists (param i32 i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (call $env_var_count))))
  (func (export "canister_query q")
    (call $answer (i64.extend_i32_u (call $env_var_name_exists (i32.const 100) (i32.const 5)))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
