;; Refunds are for callbacks: msg_cycles_refunded traps in an update.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_cycles_refunded" (func $msg_cycles_refunded (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $msg_cycles_refunded))))
