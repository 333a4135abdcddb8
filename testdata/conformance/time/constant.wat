;; Within one execution the time stands still.
;;
;; call: update t ; expect: reply u64 0
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "time" (func $time (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (local $i i32) (local $start i64)
    (local.set $start (call $time))
    (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
    (call $answer (i64.sub (call $time) (local.get $start))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
