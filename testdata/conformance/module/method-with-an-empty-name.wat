;; A method's name may be empty.
;;
;; call: install ; expect: ok
;; call: update "" ; expect: reply ""
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (func (export "canister_update ") (call $msg_reply)))
