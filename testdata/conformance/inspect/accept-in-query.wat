;; accept_message is for canister_inspect_message only: a query traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "accept_message" (func $accept_message))
  (memory 1)
  (func (export "canister_query t")
    (call $accept_message)))
