;; canister_init has nobody to reply to: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (memory 1)
  (func (export "canister_init")
    (call $msg_reply_data_append (i32.const 0) (i32.const 0))))
