;; msg_reject_msg_size is for callbacks: in an update it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reject_msg_size" (func $msg_reject_msg_size (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $msg_reject_msg_size))))
