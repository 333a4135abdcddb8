;; A character in more bytes than it needs is not UTF-8: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "\c0\80")
  (func (export "canister_update t")
    (call $msg_reject (i32.const 100) (i32.const 2))))
