;; The number of pages is unsigned: -1 is more than there can be, and gives -1.
;;
;; call: update t ; expect: reply u64 18446744073709551615
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (call $stable64_grow (i64.const -1))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
