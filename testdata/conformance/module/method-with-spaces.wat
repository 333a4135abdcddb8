;; A method's name may have spaces and brackets.
;;
;; call: install ; expect: ok
;; call: update "<a b> c" ; expect: reply ""
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (func (export "canister_update <a b> c") (call $msg_reply)))
