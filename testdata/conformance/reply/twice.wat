;; A second reply: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_reply)
    (call $msg_reply)))
