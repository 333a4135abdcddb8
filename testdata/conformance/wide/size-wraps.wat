;; Address and size do not wrap: traps.
;;
;; call: update t arg="argument" ; expect: trap
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i64 i64)))
  (memory i64 1)
  (func (export "canister_update t")
    (call $msg_reply_data_append (i64.const 8) (i64.const -4))))
