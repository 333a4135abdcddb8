;; msg_reject_msg_copy is for callbacks: in an update it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reject_msg_copy" (func $msg_reject_msg_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_reject_msg_copy (i32.const 0) (i32.const 0) (i32.const 0))))
