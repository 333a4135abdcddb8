;; The start function has no balance: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "canister_cycle_balance" (func $canister_cycle_balance (result i64)))
  (memory 1)
  (func $start (drop (call $canister_cycle_balance)))
  (start $start))
