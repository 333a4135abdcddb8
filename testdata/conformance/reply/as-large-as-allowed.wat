;; A reply of 2 MiB is the largest there is.
;;
;; call: update t ; expect: bytes 2097152
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (drop (memory.grow (i32.const 31)))
    (call $msg_reply_data_append (i32.const 0) (i32.const 2097152))
    (call $msg_reply)))
