;; msg_reject_code is for callbacks: in an update it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reject_code" (func $msg_reject_code (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $msg_reject_code))))
