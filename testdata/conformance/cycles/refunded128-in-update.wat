;; Refunds are for callbacks: msg_cycles_refunded128 traps in an update.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_cycles_refunded128" (func $msg_cycles_refunded128 (param i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_cycles_refunded128 (i32.const 0))))
