;; A query may ask for the balance.
;;
;; call: query t ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "canister_cycle_balance" (func $canister_cycle_balance (result i64)))
  (memory 1)
  (func (export "canister_query t")
    (call $answer (call $canister_cycle_balance)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
