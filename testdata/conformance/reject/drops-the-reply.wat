;; Data that was appended for a reply is dropped.
;;
;; call: update t ; expect: reject "hell"
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $msg_reply_data_append (i32.const 100) (i32.const 5))
    (call $msg_reject (i32.const 100) (i32.const 4))))
