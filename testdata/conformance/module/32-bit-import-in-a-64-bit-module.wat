;; A 64-bit module cannot import the 32-bit form of a function.
;;
;; call: install ; expect: refused "ic0.msg_reply_data_append"
(module
  (import "ic0" "msg_reply_data_append" (func (param i32 i32)))
  (memory i64 1))
