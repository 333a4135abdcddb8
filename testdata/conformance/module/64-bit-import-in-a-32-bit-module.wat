;; A 32-bit module cannot import the 64-bit form of a function.
;;
;; call: install ; expect: refused "ic0.msg_reply_data_append"
(module
  (import "ic0" "msg_reply_data_append" (func (param i64 i64)))
  (memory 1))
