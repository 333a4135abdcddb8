;; There are no cycles: msg_cycles_accept128 writes 16 zero bytes.
;;
;; call: update t ; expect: reply 0x00000000000000000000000000000000
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "msg_cycles_accept128" (func $msg_cycles_accept128 (param i64 i64 i32)))
  (memory 1)
  (data (i32.const 0) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10")
  (func (export "canister_update t")
    (call $msg_cycles_accept128 (i64.const 1) (i64.const 100) (i32.const 0))
    (call $show (i32.const 0) (i32.const 16)))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply)))
