;; Growing gives the size before, in pages of 64 KiB; no pages may be asked for.
;;
;; call: update t ; expect: reply u64 0
;; call: query q ; expect: reply u64 3
;; call: update t ; expect: reply u64 3
;; call: query q ; expect: reply u64 6
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "stable64_grow" (func $stable64_grow (param i64) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (call $stable64_grow (i64.const 3))))
  (func (export "canister_query q")
    (call $answer (call $stable64_grow (i64.const 0))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
