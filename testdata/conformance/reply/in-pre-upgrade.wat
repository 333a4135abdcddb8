;; canister_pre_upgrade may not reply: traps.
;;
;; call: upgrade ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_pre_upgrade")
    (call $msg_reply)))
