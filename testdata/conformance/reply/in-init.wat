;; canister_init may not reply: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_init")
    (call $msg_reply)))
