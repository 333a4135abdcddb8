;; accept_message is for canister_inspect_message only: an update traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "accept_message" (func $accept_message))
  (memory 1)
  (func (export "canister_update t")
    (call $accept_message)))
