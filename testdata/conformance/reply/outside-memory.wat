;; Appending bytes outside memory: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_reply_data_append (i32.const 65535) (i32.const 2))))
