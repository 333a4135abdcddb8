;; A reply may be empty.
;;
;; call: update t ; expect: reply ""
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_reply)))
