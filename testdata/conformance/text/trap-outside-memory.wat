;; trap traps, whatever it is given as a text.
;;
;; call: update t ; expect: trap
;; call: query q ; expect: trap
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $trap (i32.const -1) (i32.const -1))
    (call $answer (i64.const 1)))
  (func (export "canister_query q")
    (call $trap (i32.const 65535) (i32.const 2))
    (call $answer (i64.const 1)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
