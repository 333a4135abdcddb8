;; Appending to a reply that was given: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $msg_reply)
    (call $msg_reply_data_append (i32.const 100) (i32.const 5))))
