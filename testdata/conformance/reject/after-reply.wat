;; A reject after a reply: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $msg_reply)
    (call $msg_reject (i32.const 100) (i32.const 5))))
