;; msg_reject_code is for callbacks: in a query it traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "msg_reject_code" (func $msg_reject_code (result i32)))
  (memory 1)
  (func (export "canister_query t")
    (drop (call $msg_reject_code))))
