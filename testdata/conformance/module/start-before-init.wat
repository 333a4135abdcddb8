;; The start function runs before canister_init, both once.
;;
;; call: install ; expect: ok
;; call: query n ; expect: reply u64 51
;; call: query n ; expect: reply u64 51
(module
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (global $n (mut i64) (i64.const 5))
  (func $start (global.set $n (i64.mul (global.get $n) (i64.const 10))))
  (start $start)
  (func (export "canister_init") (global.set $n (i64.add (global.get $n) (i64.const 1))))
  (func (export "canister_query n")
    (i64.store (i32.const 0) (global.get $n))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
