;; Creating a canister costs nothing.
;;
;; call: update t ; expect: reply 0x00000000000000000000000000000000
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "cost_create_canister" (func $cost_create_canister (param i32)))
  (memory 1)
  (data (i32.const 0) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10")
  (func (export "canister_update t")
    (call $cost_create_canister (i32.const 0))
    (call $show (i32.const 0) (i32.const 16)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
